"""Writing results whole or not at all."""
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@contextmanager
def replacing(path: str, suffix: str = '') -> Iterator[str]:
    """Yields a temporary path in the same folder, which becomes ``path`` if the block succeeds."""
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    # Not mkstemp: its files are for their owner alone.
    partial = os.path.join(folder, f'.{secrets.token_hex(8)}{suffix}')
    try:
        yield partial
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.unlink(partial)


def write_json(path: str, data: Any) -> None:
    """Writes ``data`` as JSON."""
    with replacing(path, '.json') as partial, open(partial, 'w') as file:
        json.dump(data, file, indent=1)


def file_digest(path: str) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def cached_digest(path: str) -> str:
    """:func:`file_digest`, read once in a process as long as the file's size and time of change stay."""
    about = os.stat(path)
    return _digest_of(path, about.st_mtime_ns, about.st_size)


@cache
def _digest_of(path: str, *version: int) -> str:
    return file_digest(path)
