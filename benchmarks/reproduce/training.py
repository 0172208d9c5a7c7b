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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

import torch
from mmengine.config import Config
from provenance import versions
from runs import Run, checkpoint_path, resolve, training_hash
from starts import published_start

from mmadasap.bfloat16 import has_bfloat16
from mmadasap.engine.resumption import is_finished
from mmadasap.engine.slim_config import write_config
from mmadasap.errors import UserError
from mmadasap.fileio import file_digest, write_json
from mmadasap.latency import describe_machine

# glibc gives the memory of large tensors back at every step and clears it anew: a seventh of the time of training.
KEEP_MEMORY = {'MALLOC_MMAP_THRESHOLD_': str(2**32), 'MALLOC_TRIM_THRESHOLD_': str(2**33)}


def train(run: Run, seed: int, device: str, runs: Mapping[str, Run]) -> dict:
    """Trains, or goes on; a finished training is left as it is.

    So is the run it starts from, before it, unless its weights come with the repository: its checkpoint is not there
    on a clean checkout.

    Args:
        run: The run.
        seed: Its seed.
        device: 'cpu' or 'cuda'.
        runs: Name -> run, of all a run may start from.

    Returns:
        What is known of it: 'hash' of its config, 'peak_memory_bytes' (None where the system does not tell), and, as
        far as they were noted when it began, 'devices', 'machine', 'versions', on a processor 'native_bfloat16'
        (without, its mixed precision multiplies in float32), and 'start', the first digits of the SHA-256 of the file
        of weights it starts from.

    Raises:
        UserError: Training failed, or the folder holds the training of another config or one begun on other devices.
    """
    start = None
    if run.start is not None:
        start = start_checkpoint(runs[run.start], seed, device, runs)
    cfg = resolve(run, seed, start)
    with alone(cfg.work_dir) as lock:
        return _train(cfg, training_hash(run, seed, runs), run.amp, device, lock)


def start_checkpoint(run: Run, seed: int, device: str, runs: Mapping[str, Run]) -> str:
    """The weights that runs which start from this one start from: published ones, else it is trained."""
    published = published_start(run, seed)
    if published is None:
        train(run, seed, device, runs)
    return published or checkpoint_path(resolve(run, seed))


def _train(cfg: Config, mine: str, amp: bool, device: str, lock: int) -> dict:
    noted = osp.join(cfg.work_dir, 'training.json')
    state = _read(noted) or _begin(cfg, mine, device)
    if state['hash'] != mine:
        raise UserError(f'{cfg.work_dir} holds a training of another config ({state["hash"]}, now {mine}); move it '
                        'away to train anew.')
    if is_finished(checkpoint_path(cfg)):
        return state
    if state.get('devices', _devices(device)) != _devices(device):
        raise UserError(f'{cfg.work_dir} holds a training begun on {state["devices"]}, and this is {_devices(device)}: '
                        'batches and pruning steps would differ; go on there, or move it away to train anew.')

    def note(peak: Optional[int]) -> None:
        if (peak or 0) > (state['peak_memory_bytes'] or 0):
            state['peak_memory_bytes'] = peak
            write_json(noted, state)

    if not osp.exists(osp.join(cfg.work_dir, 'last_checkpoint')):
        state['start'] = cfg.load_from and file_digest(cfg.load_from)[:16]
    write_json(noted, state)
    _run(_command(write_config(cfg, osp.join(cfg.work_dir, 'config.py')), amp, device), lock,
         note if device == 'cpu' else None)
    note(_device_memory(cfg.work_dir) if device == 'cuda' else None)
    return state


def _begin(cfg: Config, mine: str, device: str) -> dict:
    if osp.exists(checkpoint_path(cfg)):
        return dict(hash='unknown', peak_memory_bytes=None)
    return dict(hash=mine, peak_memory_bytes=None, devices=_devices(device), machine=describe_machine(),
                versions=versions(), native_bfloat16=has_bfloat16() if device == 'cpu' else None)


def _devices(device: str) -> str:
    return f'{torch.cuda.device_count()} x cuda' if device == 'cuda' else device


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


def _run(command: list[str], lock: int, note: Optional[Callable[[Optional[int]], None]]) -> None:
    """Runs a command to its end, holding the lock.

    Args:
        command: Its words.
        lock: Descriptor it inherits.
        note: Is told its peak memory so far, in bytes, again and again: it may be killed at any time.

    Raises:
        UserError: It fails.
    """
    with subprocess.Popen(command, pass_fds=[lock], env=KEEP_MEMORY | os.environ) as process:
        while process.poll() is None:
            if note is not None:
                note(_peak_memory(process.pid))
            time.sleep(1)
    if process.returncode:
        raise UserError(f'Training stopped with exit code {process.returncode}; mend what it says above, and go on '
                        f'with the same command ({shlex.join(command)} is the part that failed).')


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
