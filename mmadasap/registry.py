"""Child registries of mmengine's roots: what mmadasap registers is addressed as ``mmadasap.X`` in configs."""
import inspect
from collections.abc import Mapping
from typing import Any

from mmengine.registry import DATASETS as ROOT_DATASETS
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import METRICS as ROOT_METRICS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import OPTIM_WRAPPERS as ROOT_OPTIM_WRAPPERS
from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS
from mmengine.registry import Registry

HOOKS = Registry('hook', parent=ROOT_HOOKS, scope='mmadasap', locations=['mmadasap.engine'])
OPTIM_WRAPPERS = Registry(
    'optim_wrapper', parent=ROOT_OPTIM_WRAPPERS, scope='mmadasap', locations=['mmadasap.engine'])
MODELS = Registry('model', parent=ROOT_MODELS, scope='mmadasap', locations=['mmadasap.models'])
DATASETS = Registry('dataset', parent=ROOT_DATASETS, scope='mmadasap', locations=['mmadasap.datasets'])
TRANSFORMS = Registry('transform', parent=ROOT_TRANSFORMS, scope='mmadasap', locations=['mmadasap.datasets'])
METRICS = Registry('metric', parent=ROOT_METRICS, scope='mmadasap', locations=['mmadasap.evaluation'])


def type_name(config: Mapping[str, Any]) -> str:
    """The name of what a config builds, without its scope, whether it gives a name or the class; '' without type."""
    kind = config.get('type', '')
    return kind.__name__ if isinstance(kind, type) else str(kind).rpartition('.')[2]


def dataset_class(config: Mapping[str, Any]) -> type:
    """What the config of a data set builds, found as building finds it."""
    kind = config['type']
    with ROOT_DATASETS.switch_scope_and_registry(config.get('_scope_')) as registry:
        return kind if isinstance(kind, type) else registry.get(kind)


def inner_datasets(dataset: dict) -> list[dict]:
    """Configs of the data sets that a config builds, without wrappers around them."""
    parts = [*dataset.get('datasets', []), *([dataset['dataset']] if 'dataset' in dataset else [])]
    return [inner for part in parts for inner in inner_datasets(part)] if parts else [dataset]


def takes(kind: type, argument: str) -> bool:
    """Whether a class, or one of its bases, names an argument of its making."""
    return any(argument in inspect.signature(base.__init__).parameters for base in kind.__mro__)
