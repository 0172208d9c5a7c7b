"""What the copies of one data set share, and the header that tells what each is."""
import hashlib
import json
import os.path as osp
from collections.abc import Iterator

from mmadasap.errors import UserError

from .manifest import CHUNK, cell_path, digest_files, header_path, read_header
from .reading import is_lossy
from .settings import Settings
from .sources import Source
from .versions import library_versions, listed
from .writing import OTHER_COPY, Folder


def write_shared(source: Source, settings: Settings, folder: Folder) -> None:
    """Writes annotations once for all cells, each cell's links to them, and its header.

    Raises:
        UserError: What is there already is of other images or settings, or was begun with other libraries; or links
            are needed and cannot be made.
    """
    shared = sorted({path.split('/')[0] for path in (*source.written, *source.copied)})
    if shared:
        folder.check_links()
    for path, content in _shared_files(source):
        folder.share(path, content)
    about = _about(source, settings)
    for name, severity in settings.cells:
        cell = cell_path(name, severity)
        for part in shared:
            folder.link(osp.join(cell, part), part)
        for part in source.folders:
            folder.make(osp.join(cell, part))
        header = dict(
            corruption=name, severity=severity, seed=settings.seed, format=settings.format,
            quality=None if settings.format == 'png' else settings.quality,
            lossy=is_lossy(settings.format, settings.quality), source=about, dataset=source.dataset, chunk=CHUNK,
            libraries=library_versions())
        _share_header(folder, cell, header)


def _about(source: Source, settings: Settings) -> dict:
    names = [[image.image_id, image.path] for image in source.images]
    annotations = digest_files((path, hashlib.sha256(content).hexdigest()) for path, content in _shared_files(source))
    return dict(layout=source.layout, split=settings.split, images=len(names),
                sha256=hashlib.sha256(json.dumps(names).encode()).hexdigest(), annotations=annotations)


def _shared_files(source: Source) -> Iterator[tuple[str, bytes]]:
    """(path from the root of the copies, content) of every file that all cells share."""
    yield from source.written.items()
    for path, original in source.copied.items():
        with open(original, 'rb') as file:
            yield path, file.read()


def _share_header(folder: Folder, cell: str, header: dict) -> None:
    path = osp.join(folder.root, header_path(cell))
    if not osp.exists(path):
        folder.write(header_path(cell), (json.dumps(header, indent=1) + '\n').encode())
    there = read_header(osp.join(folder.root, cell))
    if _identity(there) != _identity(header):
        raise UserError(OTHER_COPY.format(path))
    if there['libraries'] != header['libraries']:
        raise UserError(f'{path!r} was begun with {listed(there["libraries"])}; here are '
                        f'{listed(header["libraries"])}, and pixels may differ; install those to go on, or give '
                        'another --out.')


def _identity(header: dict) -> dict:
    """What a copy is of; what its data set is told follows from that."""
    return {key: value for key, value in header.items() if key not in ('libraries', 'dataset')}
