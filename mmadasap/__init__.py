"""AdaSAP (arXiv 2306.14306) for the OpenMMLab runner: adaptive sharpness-aware pruning of detectors and classifiers."""
from .version import SUPPORTED, __version__, check_version, installed_version

for _name in SUPPORTED:
    _found = installed_version(_name)
    if _found is not None:
        check_version(_name, _found)

__all__ = ['__version__']
