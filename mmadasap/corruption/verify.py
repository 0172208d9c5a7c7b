"""Checking a corrupted copy against its manifest and its source."""
import os
import os.path as osp
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import rich.progress

from mmadasap.errors import UserError
from mmadasap.fileio import file_digest

from .manifest import CHUNK, annotation_paths, cell_path, digest_files, find_cells, read_header, read_records
from .versions import library_versions, listed


@dataclass
class Verification:
    """What a check found.

    Attributes:
        files: How many corrupted images were checked.
        problems: (file, what is wrong).
        notes: What is no damage, such as other library versions.
    """
    files: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def verify(root: str, out: str, show_progress: bool = True, wanted: Iterable[tuple[str, int]] = ()) -> Verification:
    """Checks every copy in ``out``: parameters, completeness, hashes of sources, copies and annotations, and versions.

    Args:
        root: The data set they were made of.
        out: Where they are.
        show_progress: Whether to show a bar with the time left.
        wanted: (corruption, severity) that must be among them.

    Raises:
        UserError: ``out`` holds none, or a header is damaged.
    """
    cells = list(find_cells(out)) if osp.isdir(out) else []
    if not cells:
        raise UserError(f'{out!r} holds no corrupted copy; write one first.')
    found, digests = Verification(), _Digests()
    for cell in sorted({cell_path(*cell) for cell in wanted} - set(cells)):
        found.problems.append((osp.join(out, cell), 'is not there; build it'))
    for cell in rich.progress.track(cells, description='verified', disable=not show_progress):
        header = read_header(osp.join(out, cell))
        if cell_path(header['corruption'], header['severity']) != cell:
            found.problems.append((cell, f'holds {header["corruption"]} at severity {header["severity"]}'))
        if header['libraries'] != library_versions():
            found.notes.append(f'{cell} was written with {listed(header["libraries"])}; here are '
                               f'{listed(library_versions())}: pixels may differ by 1 of 255, or draws be others')
        found.problems += _verify_cell(root, osp.join(out, cell), header, found, digests)
    return found


class _Digests(dict):
    """Path of a file -> its SHA-256, read once; '' where there is none."""

    def __missing__(self, path: str) -> str:
        try:
            self[path] = file_digest(path)
        except OSError:
            self[path] = ''
        return self[path]


def _verify_cell(root: str, cell: str, header: dict, found: Verification,
                 digests: _Digests) -> Iterator[tuple[str, str]]:
    total, known, image_ids = 0, set(), []
    for chunk in range(-(-header['source']['images'] // CHUNK)):
        for record in read_records(cell, chunk):
            total += 1
            image_ids.append(record['image_id'])
            if 'error' in record:
                yield osp.join(cell, record['source']), f'was left out: its source {record["error"]}'
                continue
            known.add(record['file'])
            found.files += 1
            if digests[osp.join(cell, record['file'])] != record['sha256']:
                yield osp.join(cell, record['file']), 'is missing or damaged; remove it and build again'
            source = osp.join(root, record['source'])
            if digests[source] != record['source_sha256']:
                yield source, f'is missing or was changed since {record["file"]} was made of it'
    if total < header['source']['images']:
        # What is not in the manifest may be what a killed run wrote before its records.
        yield cell, f'knows {total} of {header["source"]["images"]} images; build again to complete it'
        return
    for path in _images_below(cell):
        if path not in known:
            yield osp.join(cell, path), 'is not in the manifest'
    yield from _verify_annotations(root, osp.dirname(osp.dirname(cell)), header, image_ids, digests)


def _verify_annotations(root: str, out: str, header: dict, image_ids: list[str],
                        digests: _Digests) -> Iterator[tuple[str, str]]:
    paths = annotation_paths(header, image_ids)
    if digest_files((path, digests[osp.join(out, path)]) for path in paths) != header['source']['annotations']:
        yield out, 'holds other annotations than were written with the images; remove them and build again'
    for path in paths:
        # Those of COCO, and lists, are written anew and differ from the source's.
        if path.endswith('.xml') and digests[osp.join(root, path)] != digests[osp.join(out, path)]:
            yield osp.join(root, path), 'was changed since it was copied; remove the copy of it and build again'


def _images_below(cell: str) -> Iterator[str]:
    for folder, below, files in os.walk(cell):
        below.sort()
        for name in sorted(files):
            yield osp.relpath(osp.join(folder, name), cell)
