"""A pruned model from a config: dense config plus widths."""
from typing import Any, Optional

from torch import nn

from mmadasap.errors import UserError
from mmadasap.pruning import check_spec, rebuild, refuse_other_widths
from mmadasap.registry import MODELS, type_name


@MODELS.register_module()
def SlimModel(  # noqa: N802, a registered type like any other
        detector: Optional[str] = None, channels: Optional[dict] = None, **dense) -> nn.Module:
    """Builds the dense model and gives it the widths of a pruned one; returns that model, not a wrapper.

    The model refuses weights of other widths from whoever loads them: mmengine would leave them out with a log line.

    Args:
        detector: Type of the dense model, e.g. 'SingleStageDetector' or 'ImageClassifier'.
        channels: Module name -> its widths, as ``slim.py`` and checkpoints after pruning carry them.
        **dense: All other keys of the dense model's config. In it ``dict(type='Pretrained')``, alone or in a list, and
            ``pretrained=`` are dropped: the files they name hold weights of the dense shapes.

    Raises:
        UserError: ``detector`` is no registered model, or ``channels`` does not fit it.
    """
    if not _is_registered(detector):
        raise UserError(f'SlimModel: detector={detector!r} is no registered model; give the type of the dense one.')
    check_spec(channels)
    model = MODELS.build(dict(_without_pretrained(dense), type=detector))
    return refuse_other_widths(rebuild(model, {name: dict(widths) for name, widths in channels.items()}), channels)


def _is_registered(name: Any) -> bool:
    # Where a build looks it up: in the registry of the run's default scope.
    with MODELS.switch_scope_and_registry(None) as registry:
        return isinstance(name, str) and registry.get(name) is not None


def _without_pretrained(value: Any) -> Any:
    if isinstance(value, dict):
        # The same kind of dict: hosts read nested configs by attribute.
        return type(value)({
            k: _without_pretrained(v)
            for k, v in value.items() if k != 'pretrained' and not _is_pretrained(v)
        })
    if isinstance(value, (list, tuple)):
        return type(value)(_without_pretrained(v) for v in value if not _is_pretrained(v))
    return value


def _is_pretrained(value: Any) -> bool:
    """Whether it configures mmengine's initialisation from a file, by any of its names."""
    return isinstance(value, dict) and type_name(value) in ('Pretrained', 'PretrainedInit')
