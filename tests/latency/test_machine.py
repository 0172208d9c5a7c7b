import json

import torch

from mmadasap.latency import describe_machine


def test_names_device_threads_and_versions():
    machine = json.loads(json.dumps(describe_machine()))
    assert machine['device'] and machine['threads'] == torch.get_num_threads()
    assert machine['torch'] == torch.__version__
