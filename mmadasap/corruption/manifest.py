"""What is known of a corrupted copy: a header and one file of records for every few images.

A copy of one corruption and severity (a cell, ``fog/3``) has them in ``manifest/fog/3`` beside it, for its own folders
may be classes: ``header.json`` (parameters, library versions, what identifies the source), ``00000.jsonl`` and so on,
one line an image. They hold nothing that depends on who wrote them, so that shards are merged by putting their files
together.
"""
import json
import os
import os.path as osp
from collections.abc import Iterator
from pathlib import Path

from mmadasap.errors import UserError

CHUNK = 16
"""Images a file of records is about."""


def cell_path(corruption: str, severity: int) -> str:
    """The folder of a cell, from the root of all copies."""
    return osp.join(corruption, str(severity))


def header_path(cell: str) -> str:
    """Where the header of a cell is."""
    return osp.join(_manifest(cell), 'header.json')


def records_path(cell: str, chunk: int) -> str:
    """Where the records of a cell about one chunk of images are."""
    return osp.join(_manifest(cell), f'{chunk:05d}.jsonl')


def _manifest(cell: str) -> str:
    above, severity = osp.split(cell)
    root, corruption = osp.split(above)
    return osp.join(root, 'manifest', corruption, severity)


def read_header(cell: str) -> dict:
    """The header of a cell.

    Raises:
        UserError: There is none.
    """
    try:
        with open(header_path(cell)) as file:
            return json.load(file)
    except (OSError, ValueError):
        raise UserError(f'{cell!r} holds no corrupted copy; write it with tools/build_corrupted_dataset.py.') from None


def read_records(cell: str, chunk: int) -> list[dict]:
    """The records of a chunk; none where it is not done."""
    try:
        with open(records_path(cell, chunk)) as file:
            return [json.loads(line) for line in file]
    except (OSError, ValueError):
        return []


def format_records(records: list[dict]) -> bytes:
    """Records as they are written."""
    return ''.join(json.dumps(record) + '\n' for record in records).encode()


def is_done(cell: str, chunk: int) -> bool:
    """Whether all images of a chunk are there, with the sizes they had when they were written."""
    records = read_records(cell, chunk)
    return bool(records) and all('error' not in r and _size(osp.join(cell, r['file'])) == r['bytes'] for r in records)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


def find_cells(root: str) -> Iterator[str]:
    """Folders of the cells below a root, from there."""
    for header in sorted(Path(root, 'manifest').glob('*/*/header.json')):
        yield osp.join(*header.parts[-3:-1])
