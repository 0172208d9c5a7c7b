"""What is timed as a step of a run."""
from dataclasses import replace

import pytest
import torch
from runs import ROOT, resolve
from steps import memory_format, phases
from tables import FIFTH, RUNS


@pytest.fixture(autouse=True)
def at_home(monkeypatch):
    monkeypatch.chdir(ROOT)


def wrappers(method):
    return phases(resolve(RUNS[f'{FIFTH.prefix}_{method}-params20'], 0))


def test_adasap_is_plain_then_adaptive_then_uniform_and_learns_nothing():
    plain, before, after = wrappers('adasap-p')
    assert not plain.keys() & {'type', 'radius', 'norm_scope', 'asam'}
    assert before['type'] == after['type'] == 'mmadasap.AdaSAPOptimWrapper'
    assert before['radius']['type'] == 'AdaptiveRadius' and after['radius']['type'] == 'UniformRadius'
    assert all(w['optimizer']['lr'] == 0 and w['paramwise_cfg'] for w in (plain, before, after))


def test_a_third_step_without_perturbation_is_one():
    assert phases(resolve(RUNS[f'{FIFTH.prefix}_adasap-p-then-none-params20'], 0))[2]['radius'] is None


def test_plain_sgd_is_plain_throughout():
    plain, before, after = wrappers('taylor-sgd')
    assert before == after and before.get('type', 'OptimWrapper') == 'OptimWrapper'
    assert plain['optimizer'] == before['optimizer']


def test_weights_are_laid_out_as_the_run_has_them():
    run = RUNS[f'{FIFTH.prefix}_adasap-p-params20']
    cfg = resolve(replace(run, name='other'), 0)
    assert memory_format(cfg) == torch.channels_last
    cfg.custom_hooks = [hook for hook in cfg.custom_hooks if hook.type != 'mmadasap.ChannelsLastHook']
    assert memory_format(cfg) == torch.contiguous_format
