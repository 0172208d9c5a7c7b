"""What the hooks need to know of mmengine's runner and the hosts' models."""
from collections.abc import Callable
from typing import Any, Optional

import torch
from mmengine.dist import broadcast_object_list
from mmengine.hooks import EarlyStoppingHook, Hook
from mmengine.model import BaseAveragedModel, BaseTTAModel, is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict, ReduceOnPlateauParamScheduler
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel

from mmadasap.errors import UserError

# Settings of mmengine's runner that put other computations in the place of layers.
HIDING = ('efficient_conv_bn_eval', 'activation_checkpointing')


def bare_model(model: nn.Module) -> nn.Module:
    """The model without its wrapper for several devices or for test-time augmentation."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def check_not_sharded(model: nn.Module) -> None:
    """Refuses a model whose parameters are spread over ranks: a rank then holds parts of rows, and no neuron whole.

    Raises:
        UserError: Naming the wrapper.
    """
    sharded = isinstance(model, FullyShardedDataParallel) or any(
        type(p).__name__ == 'DTensor' for p in model.parameters())
    if sharded:
        raise UserError(f'AdaSAP needs whole neurons on every rank, but {type(model).__name__} holds a model sharded '
                        "over ranks; set model_wrapper_cfg=dict(type='MMDistributedDataParallel').")


def built_optimizer(runner) -> Optional[torch.optim.Optimizer]:
    """The run's optimizer; None where it only tests and builds none, or has several."""
    is_one = is_training(runner) and not isinstance(runner.optim_wrapper, OptimWrapperDict)
    return runner.optim_wrapper.optimizer if is_one else None


def is_training(runner) -> bool:
    """Whether the run trains, and does not only test."""
    return isinstance(runner.optim_wrapper, OptimWrapper)


def check_optimizer(runner) -> None:
    """Refuses runs whose optimizer pruning does not see whole.

    Raises:
        UserError: Naming it.
    """
    if isinstance(runner.optim_wrapper, OptimWrapperDict):
        raise UserError(f'Pruning needs one optimizer of all weights, and optim_wrapper has several '
                        f'({", ".join(runner.optim_wrapper.keys())}); give a single one.')
    if hasattr(runner.optim_wrapper.optimizer, 'consolidate_state_dict'):
        raise UserError(f'Pruning needs the momentum of all weights on every rank, and '
                        f'{type(runner.optim_wrapper.optimizer).__name__} spreads it over ranks; set another '
                        'optim_wrapper.optimizer.type.')


def check_layers_show(runner) -> None:
    """Refuses settings that hide layers from a trace.

    Raises:
        UserError: Naming the setting.
    """
    hiding = [key for key in HIDING if runner.cfg.get(key)]
    if hiding:
        raise UserError(f'{hiding[0]}={runner.cfg[hiding[0]]} hides layers, whose channels could then neither be '
                        'pruned nor counted; take it out of the config.')


def averaged_models(runner) -> list[BaseAveragedModel]:
    """The averaged copies that the run's hooks hold."""
    held = [getattr(hook, 'ema_model', None) for hook in runner.hooks]
    return [model for model in held if isinstance(model, BaseAveragedModel)]


def refresh(averaged: BaseAveragedModel) -> None:
    """Lets an averaged model see its tensors anew after some changed shape or went; it keeps a list of them."""
    if hasattr(averaged, 'avg_parameters'):
        module = averaged.module
        averaged.avg_parameters = module.state_dict() if averaged.update_buffers else dict(module.named_parameters())


def rewrap(runner) -> None:
    """Wraps the model anew after its shapes changed: a distributed wrapper keeps buckets of the old ones."""
    if is_model_wrapper(runner.model):
        runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), runner.model.module)


def hold_stopping(runner) -> list[Hook]:
    """Takes hooks that stop training early out of a run.

    Returns:
        They, to be registered again.
    """
    held = [hook for hook in runner.hooks if isinstance(hook, EarlyStoppingHook)]
    for hook in held:
        runner.hooks.remove(hook)
    return held


def forget_best(runner) -> None:
    """Lets checkpoints compete for the best anew from now on, and learning rates that fall where scores stand still
    look for new ones: earlier scores are another network's.
    """
    for key in [k for k in runner.message_hub.runtime_info if k.startswith('best_score')]:
        runner.message_hub.pop_info(key)
    for schedule in runner.param_schedulers or []:
        if isinstance(schedule, ReduceOnPlateauParamScheduler):
            schedule._reset()


def from_first_rank(data: Any) -> Any:
    """What the first rank holds, on all ranks; ``data`` itself where there is only one."""
    held = [data]
    broadcast_object_list(held)
    return held[0]


def raw_outputs(model: nn.Module, inputs: Tensor) -> Any:
    """Outputs of the network before any loss or decoding, as both mmdet and mmpretrain offer them.

    Of a two-stage detector: the feature maps, for its second stage copies them into memory of the dense width, the
    first stage's outputs, and those of the second stage's box head for as many regions as it sees in testing.
    """
    if not hasattr(model, 'roi_head'):
        return model(inputs, mode='tensor')
    features = model.extract_feat(inputs)
    outputs = [features, model.rpn_head(features)] if model.with_rpn else [features]
    head = getattr(model.roi_head, 'bbox_head', None)
    # A cascade's heads stay whole: each of them reads what the one before it decides.
    if head is not None and not isinstance(head, nn.ModuleList) and not model.roi_head.with_shared_head:
        regions = model.test_cfg.rpn.max_per_img if model.with_rpn else 1000
        size = model.roi_head.bbox_roi_extractor.roi_layers[0].output_size
        outputs.append(head(features[0].new_zeros(regions, features[0].shape[1], *size)))
    return outputs


# All heads of a second stage read the feature maps.
raw_outputs.reads_outputs = ('roi_head.', )


def finish(size: tuple[int, int]) -> Callable[[nn.Module, Any], object]:
    """What follows the network for images of ``size`` (H, W): boxes from raw outputs, where the head offers it.

    Boxes are decoded in float32 whatever the outputs are in: mmcv's suppression takes nothing shorter.
    """
    meta = dict(img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0), pad_shape=size, batch_input_shape=size)

    def from_outputs(model: nn.Module, outputs: Any) -> object:
        predict = getattr(getattr(model, 'bbox_head', None), 'predict_by_feat', None)
        if predict is None or not isinstance(outputs, (list, tuple)):
            return None
        images = len(outputs[0][0])
        with torch.inference_mode():
            return predict(*_in_float32(outputs), batch_img_metas=[meta] * images, rescale=False)

    return from_outputs


def _in_float32(outputs: Any) -> Any:
    if isinstance(outputs, Tensor):
        return outputs.float()
    return [_in_float32(item) for item in outputs] if isinstance(outputs, (list, tuple)) else outputs
