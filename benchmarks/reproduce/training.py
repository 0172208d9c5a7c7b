"""Trains a run through tools/train.py, in a process of its own, from where it stopped."""
import fcntl
import json
import os
import os.path as osp
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

import torch
from mmengine.config import Config
from runs import Run, checkpoint_path, resolve, training_hash

from mmadasap.engine.slim_config import write_config
from mmadasap.errors import UserError
from mmadasap.fileio import write_json


def train(run: Run, seed: int, device: str, runs: Mapping[str, Run]) -> Optional[int]:
    """Trains, or goes on; a finished training is left as it is.

    So is the run it starts from, before it: its checkpoint is not there on a clean checkout.

    Args:
        run: The run.
        seed: Its seed.
        device: 'cpu' or 'cuda'.
        runs: Name -> run, of all a run may start from.

    Returns:
        Its peak memory in bytes; None where the system does not tell.

    Raises:
        UserError: Training failed, or the folder holds the training of another config.
    """
    start = None
    if run.start is not None:
        train(runs[run.start], seed, device, runs)
        start = checkpoint_path(resolve(runs[run.start], seed))
    cfg = resolve(run, seed, start)
    with alone(cfg.work_dir) as lock:
        return _train(cfg, training_hash(run, seed, runs), run.amp, device, lock)


def _train(cfg: Config, mine: str, amp: bool, device: str, lock: int) -> Optional[int]:
    noted = osp.join(cfg.work_dir, 'training.json')
    state = _read(noted) or dict(hash='unknown' if osp.exists(checkpoint_path(cfg)) else mine, peak_memory_bytes=None)
    if state['hash'] != mine:
        raise UserError(f'{cfg.work_dir} holds a training of another config ({state["hash"]}, now {mine}); move it '
                        'away to train anew.')
    if not osp.exists(checkpoint_path(cfg)):
        write_json(noted, state)
        peak = _run(_command(write_config(cfg, osp.join(cfg.work_dir, 'config.py')), amp, device), lock)
        peak = _device_memory(cfg.work_dir) if device == 'cuda' else peak
        state['peak_memory_bytes'] = max(peak or 0, state['peak_memory_bytes'] or 0) or None
        write_json(noted, state)
    return state['peak_memory_bytes']


@contextmanager
def alone(work_dir: str) -> Iterator[int]:
    """Waits until nobody trains in a folder, and keeps others from it.

    Yields:
        The descriptor of the lock. A process that inherits it holds the lock, too: a training goes on if the program
        that started it is killed, and a second one would write the same files.
    """
    os.makedirs(work_dir, exist_ok=True)
    with open(osp.join(work_dir, 'lock'), 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f'[reproduce] waiting for another process that trains in {work_dir}', flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _read(path: str) -> Optional[dict]:
    if not osp.exists(path):
        return None
    with open(path) as file:
        return json.load(file)


def _command(config: str, amp: bool, device: str) -> list[str]:
    flags = [config, '--resume', '--auto-scale-lr', *(['--amp'] if amp else [])]
    count = torch.cuda.device_count() if device == 'cuda' else 0
    if device == 'cuda':
        # As on processors, so that seeds of both can be compared.
        flags += ['--cfg-options', 'optim_wrapper.dtype=bfloat16'] if amp else []
    if count > 1:
        return ['bash', 'tools/dist_train.sh', config, str(count), *flags[1:]]
    return [sys.executable, 'tools/train.py', *flags]


def _run(command: list[str], lock: int) -> Optional[int]:
    """Runs a command to its end, holding the lock, and watches its memory, in bytes.

    Raises:
        UserError: It fails.
    """
    peak = None
    with subprocess.Popen(command, pass_fds=[lock]) as process:
        while process.poll() is None:
            peak = _peak_memory(process.pid) or peak
            time.sleep(1)
    if process.returncode:
        raise UserError(f'Training stopped with exit code {process.returncode}; mend what it says above, and go on '
                        f'with the same command ({shlex.join(command)} is the part that failed).')
    return peak


def _peak_memory(process: int) -> Optional[int]:
    try:
        with open(f'/proc/{process}/status') as file:
            found = re.search(r'VmHWM:\s+(\d+) kB', file.read())
    except OSError:
        return None
    return 1024 * int(found[1]) if found else None


def _device_memory(work_dir: str) -> Optional[int]:
    """What mmengine logged as the most memory of a device, in bytes."""
    logs = Path(work_dir).glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for path in logs for line in path.read_text().splitlines()]
    return max((line.get('memory', 0) * 1024**2 for line in lines), default=0) or None
