import pytest
import torch


def pytest_collection_modifyitems(items):
    """Tests marked ``gpu`` run only where a device is."""
    if not torch.cuda.is_available():
        for item in items:
            if 'gpu' in item.keywords:
                item.add_marker(pytest.mark.skip(reason='needs a CUDA device'))
