"""What a measurement was made on."""
import platform
from datetime import datetime, timezone
from typing import Optional

import torch


def describe_machine(where: Optional[str] = None) -> dict:
    """Processor or device, threads, versions and date: what must stand beside every measured time.

    Args:
        where: 'cpu' or 'cuda:<number>'; the device, if there is one, where it is None.
    """
    on_device = torch.cuda.is_available() if where is None else where != 'cpu'
    device = torch.cuda.get_device_name(where) if on_device else _processor()
    return dict(
        device=device,
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        python=platform.python_version(),
        date=datetime.now(timezone.utc).date().isoformat())


def _processor() -> str:
    try:
        with open('/proc/cpuinfo') as file:
            names = [line.partition(':')[2].strip() for line in file if line.startswith('model name')]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
