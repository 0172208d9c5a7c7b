"""What is known of a corrupted copy: a header and one file of records for every few images.

A copy of one corruption and severity (a cell, ``fog/3``) has them in ``manifest/fog/3`` beside it, for its own folders
may be classes: ``header.json`` (parameters, library versions, what identifies the source), ``00000.jsonl`` and so on,
one line an image. They hold nothing that depends on who wrote them, so that shards are merged by putting their files
together.
"""
import hashlib
import json
import os
import os.path as osp
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmadasap.errors import UserError
from mmadasap.fileio import cached_digest

CHUNK = 16
"""Images a file of records is about."""
HEADER_KINDS = dict(corruption=str, severity=int, seed=int, format=str, quality=(int, type(None)), lossy=bool,
                    source=dict, dataset=dict, libraries=dict)
SOURCE_KINDS = dict(layout=str, split=(str, type(None)), images=int, annotations=str)
RECORD_KEYS = {'file', 'bytes', 'sha256', 'source_sha256'}
BUILD = 'tools/build_corrupted_dataset.py'


@dataclass(frozen=True)
class StoredCopy:
    """A cell that is whole.

    Attributes:
        header: Its header.
        sources: What the draws of an image depended on -> SHA-256 of the file it was made of.
        files: The same -> its file, from the cell.
        digest: Of all that is known of it.
    """
    header: dict
    sources: dict[str, str]
    files: dict[str, str]
    digest: str


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
        UserError: There is none, or it is damaged.
    """
    try:
        with open(header_path(cell)) as file:
            header = json.load(file)
    except OSError:
        raise UserError(f'{cell!r} holds no corrupted copy; write it with {BUILD}.') from None
    except ValueError:
        header = None
    if not _is_header(header):
        raise UserError(f'{header_path(cell)!r} is damaged; remove it and run {BUILD} again.')
    return header


def _is_header(header: Any) -> bool:
    return (_holds(header, HEADER_KINDS) and _holds(header['source'], SOURCE_KINDS)
            and (header['source']['layout'] == 'folder' or isinstance(header['dataset'].get('ann_file'), str)))


def _holds(part: Any, kinds: dict[str, Any]) -> bool:
    return isinstance(part, dict) and all(key in part and isinstance(part[key], kind) for key, kind in kinds.items())


def read_copy(cell: str) -> StoredCopy:
    """All that is known of a cell, which must be whole.

    Raises:
        UserError: There is none, images are missing or damaged, or one was left out.
    """
    header = read_header(cell)
    records = []
    for chunk in range(-(-header['source']['images'] // CHUNK)):
        found = read_records(cell, chunk)
        for record in found:
            if 'error' in record:
                raise UserError(f'{cell!r} lacks {record["source"]!r}, which {record["error"]}; repair that image or '
                                f'take it out of the data set, and run {BUILD} again.')
        if not _are_there(cell, found):
            raise UserError(f'{cell!r} is not whole: of {header["source"]["images"]} images some from number '
                            f'{chunk * CHUNK + 1} on are missing or damaged; run {BUILD} again (all shards) to '
                            'complete it.')
        records += found
    digest = hashlib.sha256(json.dumps([header, records]).encode()).hexdigest()
    return StoredCopy(header, _by_id(records, 'source_sha256'), _by_id(records, 'file'), digest)


def _by_id(records: list[dict], key: str) -> dict[str, str]:
    # Interned: other cells hold the same.
    return {sys.intern(record['image_id']): sys.intern(record[key]) for record in records}


def read_records(cell: str, chunk: int) -> list[dict]:
    """The records of a chunk; none where it is not done, or they are damaged."""
    try:
        with open(records_path(cell, chunk)) as file:
            records = [json.loads(line) for line in file]
    except (OSError, ValueError):
        return []
    return records if all(map(_is_record, records)) else []


def _is_record(record: Any) -> bool:
    return (isinstance(record, dict) and {'image_id', 'source'} <= record.keys()
            and ('error' in record or record.keys() >= RECORD_KEYS))


def format_records(records: Iterable[dict]) -> bytes:
    """Records as they are written."""
    return ''.join(json.dumps(record) + '\n' for record in records).encode()


def is_done(root: str, cell: str, chunk: int) -> bool:
    """Whether all images of a chunk are there, with the sizes they had when they were written, and none of the files
    below ``root`` that they were made of has become another since.
    """
    records = read_records(cell, chunk)
    return _are_there(cell, records) and not any(_changed(root, r, records_path(cell, chunk)) for r in records)


def _changed(root: str, record: dict, written: str) -> bool:
    source = osp.join(root, record['source'])
    try:
        is_newer = os.stat(source).st_mtime_ns > os.stat(written).st_mtime_ns
        return is_newer and cached_digest(source) != record['source_sha256']
    except OSError:
        # Of another data set, which the header tells.
        return False


def _are_there(cell: str, records: list[dict]) -> bool:
    return bool(records) and all('error' not in r and _size(osp.join(cell, r['file'])) == r['bytes'] for r in records)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


def annotation_paths(header: dict, image_ids: Iterable[str]) -> list[str]:
    """The annotations that a cell shares with all others, from the root of the copies."""
    layout = header['source']['layout']
    listed = [] if layout == 'folder' else [header['dataset']['ann_file']]
    return listed + [f'Annotations/{i}.xml' for i in image_ids if layout == 'voc']


def digest_files(hashes: Iterable[tuple[str, str]]) -> str:
    """One hash of many files.

    Args:
        hashes: (path, SHA-256) of each, in any order.
    """
    return hashlib.sha256(json.dumps(sorted(hashes)).encode()).hexdigest()


def find_cells(root: str) -> Iterator[str]:
    """Folders of the cells below a root, from there."""
    for header in sorted(Path(root, 'manifest').glob('*/*/header.json')):
        yield osp.join(*header.parts[-3:-1])
