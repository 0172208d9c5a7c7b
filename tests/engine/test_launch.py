import argparse
import subprocess
import sys

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmadasap.engine import AdaSAPOptimWrapper, launch
from mmadasap.engine.arguments import add_config_arguments
from mmadasap.engine.launch import (
    build_runner,
    check_load_from,
    load_config,
    read_config,
    run_tool,
    set_amp,
    set_auto_scale_lr,
    set_resume,
    set_tta,
    start_processes,
)
from mmadasap.errors import UserError
from tests.toys import make_runner


def parse(*args):
    parser = argparse.ArgumentParser()
    add_config_arguments(parser)
    return parser.parse_args(list(args))


def test_overrides_and_work_directory(tmp_path):
    path = tmp_path / 'some_config.py'
    path.write_text('lr = 1\n')
    cfg = read_config(parse(str(path), '--cfg-options', 'lr=2', '--local-rank', '0'))
    assert cfg.lr == 2 and cfg.work_dir == 'work_dirs/some_config' and cfg.launcher == 'none'
    assert read_config(parse(str(path), '--work-dir', 'x')).work_dir == 'x'


def test_a_missing_config_is_named():
    with pytest.raises(UserError, match="no config file 'nowhere.py'"):
        read_config(parse('nowhere.py'))


def test_an_override_that_does_not_fit_is_one_sentence(tmp_path):
    path = tmp_path / 'some_config.py'
    path.write_text('hooks = [1]\n')
    with pytest.raises(UserError, match='--cfg-options .*does not fit .*some_config.py .*; correct it'):
        read_config(parse(str(path), '--cfg-options', 'hooks.7=2'))


def test_an_error_of_a_process_that_loads_data_is_its_last_line(capsys):

    def fail():
        raise UserError('Caught UserError in DataLoader worker process 0.\nOriginal Traceback:\n  File "x.py", line 1\n'
                        'mmadasap.errors.UserError: value=1 is wrong; give 2.\n')

    with pytest.raises(SystemExit) as caught:
        run_tool(fail)
    assert caught.value.code == 'Error: value=1 is wrong; give 2.'


def test_amp_keeps_the_kind_of_wrapper(monkeypatch):
    monkeypatch.setattr(launch, 'get_device', lambda: 'cuda')
    for kind, wanted in (('mmadasap.AdaSAPOptimWrapper', 'mmadasap.AmpAdaSAPOptimWrapper'),
                         ('mmadasap.AmpAdaSAPOptimWrapper', 'mmadasap.AmpAdaSAPOptimWrapper'),
                         (AdaSAPOptimWrapper, 'mmadasap.AmpAdaSAPOptimWrapper'), (OptimWrapper, 'AmpOptimWrapper'),
                         ('AmpOptimWrapper', 'AmpOptimWrapper')):
        cfg = Config(dict(optim_wrapper=dict(type=kind, loss_scale=128.0)))
        set_amp(cfg)
        assert cfg.optim_wrapper.type == wanted and cfg.optim_wrapper.loss_scale == 128.0
    plain = Config(dict(optim_wrapper=dict(optimizer=dict(type='SGD'))))
    set_amp(plain)
    assert plain.optim_wrapper.type == 'AmpOptimWrapper' and plain.optim_wrapper.loss_scale == 'dynamic'


def test_amp_on_a_processor_makes_plain_steps_with_a_wrapper_that_can(monkeypatch, tmp_path):
    monkeypatch.setattr(launch, 'get_device', lambda: 'cpu')
    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))))
    set_amp(cfg)
    runner = make_runner(tmp_path, cfg.optim_wrapper.to_dict(), epochs=1)
    runner.train()
    assert runner.optim_wrapper.radius is None and runner.optim_wrapper.cast_dtype == torch.bfloat16


def test_a_data_preprocessor_beside_the_model_goes_into_it(tmp_path):
    path = tmp_path / 'cls.py'
    path.write_text("model = dict(type='ImageClassifier')\ndata_preprocessor = dict(mean=[1.0])\n"
                    "default_scope = 'mmpretrain'\n")
    assert load_config(str(path)).model.data_preprocessor == dict(mean=[1.0])
    given = load_config(str(path), {'data_preprocessor.mean': [3.0]})
    assert given.model.data_preprocessor == dict(mean=[3.0])
    inner = load_config(str(path), {'model.data_preprocessor.std': [4.0]})
    assert inner.model.data_preprocessor == dict(mean=[1.0], std=[4.0])
    path.write_text("model = dict(data_preprocessor=dict(mean=[2.0]))\ndata_preprocessor = dict(mean=[1.0])\n")
    assert load_config(str(path)).model.data_preprocessor == dict(mean=[2.0])


def test_what_is_missing_for_a_flag_is_named():
    with pytest.raises(UserError, match='has no optim_wrapper, which is needed here'):
        set_amp(Config())
    with pytest.raises(UserError, match='has no test_dataloader'):
        set_tta(Config())


def test_every_part_of_a_test_set_is_tested_with_its_flip():
    packs = [dict(type='PackDetInputs', meta_keys=(name, )) for name in 'ab']
    parts = [dict(type='VOCDataset', pipeline=[dict(type='Load'), pack]) for pack in packs]
    cfg = Config(dict(default_scope='mmdet', model=dict(type='M'),
                      test_dataloader=dict(dataset=dict(type='ConcatDataset', datasets=parts))))
    set_tta(cfg)
    for part in cfg.test_dataloader.dataset.datasets:
        load, tta = part.pipeline
        flips, (pack, ) = tta.transforms
        assert load.type == 'Load' and [flip.prob for flip in flips] == [1, 0] and 'flip' in pack.meta_keys
    cfg.tta_pipeline = [dict(type='Own')]
    set_tta(cfg)
    assert [part.pipeline for part in cfg.test_dataloader.dataset.datasets] == [cfg.tta_pipeline] * 2


def test_amp_never_removes_a_wrapper_it_does_not_know():
    cfg = Config(dict(optim_wrapper=dict(type='somebody.OptimWrapper')))
    with pytest.raises(UserError, match='somebody.OptimWrapper'):
        set_amp(cfg)
    assert cfg.optim_wrapper.type == 'somebody.OptimWrapper'


@pytest.mark.skipif(torch.cuda.is_available(), reason='about machines without a device')
def test_a_launcher_that_needs_a_device_is_refused_without_one():
    with pytest.raises(UserError, match='--launcher slurm needs a CUDA device'):
        start_processes(Config(dict(launcher='slurm')))


def test_a_launcher_that_did_not_start_this_process_is_refused_with_the_command_that_would(monkeypatch):
    monkeypatch.delenv('RANK', raising=False)
    monkeypatch.setattr(sys, 'argv', ['tools/test.py', 'my config.py', 'a.pth', '--launcher', 'pytorch'])
    with pytest.raises(UserError, match="torchrun --nproc_per_node=2 tools/test.py 'my config.py' a.pth --launcher "
                                        'pytorch, or leave it out'):
        start_processes(Config(dict(launcher='pytorch')))


def test_the_runner_a_config_names_is_built(tmp_path):
    @RUNNERS.register_module(force=True)
    class NamedRunner(Runner):
        pass

    cfg = make_runner(tmp_path, dict(type='OptimWrapper')).cfg
    assert type(build_runner(cfg)) is Runner
    cfg.runner_type, cfg.experiment_name = 'NamedRunner', 'named'
    assert type(build_runner(cfg)) is NamedRunner


def test_auto_scale_lr():
    cfg = Config(dict(auto_scale_lr=dict(enable=False, base_batch_size=16)))
    set_auto_scale_lr(cfg)
    assert cfg.auto_scale_lr.enable
    with pytest.raises(UserError, match='base_batch_size'):
        set_auto_scale_lr(Config())


def test_resume(tmp_path):
    cfg = Config(dict(load_from='a.pth', resume=False, work_dir=str(tmp_path)))
    set_resume(cfg, None)
    assert (cfg.load_from, cfg.resume) == ('a.pth', False)
    # Nothing to resume from yet: the run starts where its config says.
    set_resume(cfg, 'auto')
    assert (cfg.load_from, cfg.resume) == ('a.pth', False)
    (tmp_path / 'last_checkpoint').write_text('c.pth')
    set_resume(cfg, 'auto')
    assert (cfg.load_from, cfg.resume) == ('c.pth', True)
    set_resume(cfg, 'b.pth')
    assert (cfg.load_from, cfg.resume) == ('b.pth', True)


def test_a_missing_checkpoint_is_named():
    with pytest.raises(UserError, match="no checkpoint 'a.pth'"):
        check_load_from(Config(dict(load_from='a.pth')))
    check_load_from(Config(dict(load_from='torchvision://resnet50')))
    check_load_from(Config(dict(load_from=None)))


def test_a_tool_prints_one_sentence_and_exits_with_1(capsys):

    def main():
        raise UserError('No such thing; do that.')

    with pytest.raises(SystemExit) as stop:
        run_tool(main)
    assert stop.value.code == 'Error: No such thing; do that.'


PROCESS = """
import atexit, sys, torch.distributed as dist
from mmadasap.engine.launch import run_tool

class Torn:
    def __del__(self):
        print('interpreter taken down')

def main():
    dist.init_process_group('gloo', init_method='file://{file}', rank=0, world_size=1)
    atexit.register(print, 'exit function')
    sys.modules['torn'] = Torn()
    print('work')

run_tool(main)
"""


def test_a_process_of_gloo_ends_after_its_exit_functions_without_taking_the_interpreter_down(tmp_path):
    code = PROCESS.format(file=tmp_path / 'store')
    done = subprocess.run([sys.executable, '-c', code], text=True, capture_output=True)
    assert (done.returncode, done.stdout.split('\n')) == (0, ['work', 'exit function', '']), done.stderr
