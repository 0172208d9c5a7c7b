"""AdaSAP (arXiv 2306.14306) for the OpenMMLab runner: adaptive sharpness-aware pruning of detectors and classifiers."""
from mmengine.config import utils as _config_utils

from .version import SUPPORTED, __version__, check_version, installed_version

for _name in SUPPORTED:
    _found = installed_version(_name)
    if _found is not None:
        check_version(_name, _found)

# mmengine resolves `_base_ = 'mmadasap::...'` and model names through this fixed list.
_config_utils.MODULE2PACKAGE.setdefault('mmadasap', 'mmadasap')

__all__ = ['__version__']
