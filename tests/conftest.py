import copy
from pathlib import Path

import pytest
import torch
import yapf.yapflib.yapf_api
from mmengine.config import Config

CONFIGS = Path(__file__).parents[1] / 'configs'


def pytest_configure():
    """Reads and formats a config once: mmengine does so some ten times a run, half of the time of a tiny training."""
    yapf.yapflib.yapf_api.FormatCode = _remembering_texts(yapf.yapflib.yapf_api.FormatCode)
    Config.fromfile = staticmethod(_remembering_files(Config.fromfile))


def _remembering_texts(format_code):
    known = {}

    def call(text, **kwargs):
        if text not in known:
            known[text] = format_code(text, **kwargs)
        return known[text]

    return call


def _remembering_files(from_file):
    known = {}

    def call(filename, **kwargs):
        # Others may be written anew within a test.
        if CONFIGS not in Path(filename).absolute().parents:
            return from_file(filename, **kwargs)
        key = str(filename), Path.cwd(), *kwargs.items()
        if key not in known:
            known[key] = from_file(filename, **kwargs)
        return copy.deepcopy(known[key])

    return call


def pytest_collection_modifyitems(items):
    """Tests marked ``gpu`` run only where a device is."""
    if not torch.cuda.is_available():
        for item in items:
            if 'gpu' in item.keywords:
                item.add_marker(pytest.mark.skip(reason='needs a CUDA device'))
