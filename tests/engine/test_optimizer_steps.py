import pytest
import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper

from mmadasap.engine.optimizer_steps import around_steps
from mmadasap.errors import UserError


def test_final_gradients_before_and_new_weights_after_until_removed():
    weight, seen = torch.nn.Parameter(torch.tensor([1.0])), []
    wrapper = OptimWrapper(torch.optim.SGD([weight], lr=0.5), clip_grad=dict(max_norm=2.0))
    handles = around_steps(wrapper, lambda: seen.append((weight.item(), round(weight.grad.item(), 3))),
                           lambda: seen.append(weight.item()))
    wrapper.update_params((4 * weight).sum())
    assert seen == [(1.0, 2.0), pytest.approx(0.0, abs=1e-5)]
    for handle in handles:
        handle.remove()
    wrapper.update_params((4 * weight).sum())
    assert len(seen) == 2


def test_a_fused_optimizer_is_refused_under_mixed_precision():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    optimizer.param_groups[0]['fused'] = True
    # Its constructor wants an accelerator.
    amp = AmpOptimWrapper.__new__(AmpOptimWrapper)
    amp.optimizer = optimizer
    with pytest.raises(UserError, match='set fused=False in optim_wrapper.optimizer'):
        around_steps(amp, print, print)
    assert len(around_steps(OptimWrapper(optimizer), print, print)) == 2
