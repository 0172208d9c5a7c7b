"""A corrupted copy of a data set, written by all cores, that a kill cannot spoil."""
import hashlib
import os.path as osp
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mmadasap.errors import UserError

from .corrupt import corrupt
from .layouts import find_source
from .manifest import CHUNK, cell_path, format_records, is_done, records_path
from .processes import pool
from .reading import WRITERS, UnreadableError, encode, read_image
from .settings import Settings
from .shared import write_shared
from .sources import SourceImage
from .writing import PARTIAL, Folder

SAMPLES = 3
"""Images that the size of everything is estimated from."""


@dataclass
class Report:
    """What a build did.

    Attributes:
        images: How many this shard is about.
        written: How many files were written.
        refused: (file, reason) of what could not be used.
    """
    images: int = 0
    written: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Task:
    """A chunk of images and the cells that lack it."""
    number: int
    images: list[SourceImage]
    cells: list[tuple[str, int]]


def build(root: str, out: str, settings: Settings, workers: int = 1, shard: tuple[int, int] = (1, 1),
          show_progress: bool = True) -> Report:
    """Writes what is missing of ``out/<corruption>/<severity>/``, a copy of the data set each.

    Args:
        root: The data set; it is only read.
        out: Where the copies go.
        settings: Which.
        workers: Processes.
        shard: (i, n): the i-th, from 1, of n parts of the images; the parts make the whole in any order, also at once.
        show_progress: Whether to show a bar with the time left.

    Raises:
        UserError: No data set, ``out`` in it or around it, other settings than those of the copies that are there,
            too little space, or a shard or number of workers that is none.
    """
    if not 1 <= shard[0] <= shard[1]:
        raise UserError(f'shard {shard[0]}/{shard[1]} must be i/n with i from 1 to n.')
    if workers < 1:
        raise UserError(f'workers={workers} must be at least 1.')
    _check_apart(root, out)
    source = find_source(root, WRITERS[settings.format][0], settings.split, settings.limit)
    print(f'{root!r} is read in {source.layout} layout: {len(source.images)} images.', flush=True)
    folder = Folder(out)
    tasks = list(_pending(root, source.images, settings, folder.root, shard))
    report = Report(images=sum(1 for i in range(len(source.images)) if i // CHUNK % shard[1] == shard[0] - 1),
                    refused=list(source.refused) if shard[0] == 1 else [])
    with pool(workers) as run:
        _check_space(run, root, folder.root, settings, tasks)
        write_shared(source, settings, folder)
        _run_all(run, root, folder.root, settings, tasks, report, show_progress)
    _clean_up(source.images, settings, folder.root)
    return report


def _check_apart(root: str, out: str) -> None:
    inner, outer = osp.realpath(out), osp.realpath(root)
    if osp.commonpath([inner, outer]) in (inner, outer):
        raise UserError(f'--out {out!r} and the data set {root!r} lie one in the other; give a folder of its own, so '
                        'that the data set is never written to.')


def _pending(root: str, images: list[SourceImage], settings: Settings, out: str,
             shard: tuple[int, int]) -> Iterator[_Task]:
    for number, start in enumerate(range(0, len(images), CHUNK)):
        if number % shard[1] == shard[0] - 1:
            cells = [cell for cell in settings.cells if not is_done(root, osp.join(out, cell_path(*cell)), number)]
            if cells:
                yield _Task(number, images[start:start + CHUNK], cells)


def _check_space(run, root: str, out: str, settings: Settings, tasks: list[_Task]) -> None:
    """Estimates from a few images what is still to be written, says so, and refuses where it does not fit."""
    files = sum(len(task.images) * len(task.cells) for task in tasks)
    if not files:
        return
    step = max(1, len(tasks) // SAMPLES)
    samples = [(task.images[0], task.cells) for task in tasks[::step][:SAMPLES]]
    sizes = [size for found in run(partial(_sizes, root, settings), samples) for size in found]
    if not sizes:
        return
    needed, free = files * sum(sizes) / len(sizes), shutil.disk_usage(out).free
    print(f'{files} files, about {needed / 1e6:.0f} MB; {free / 1e9:.1f} GB are free.', flush=True)
    if needed * 1.05 > free:
        raise UserError(f'About {needed / 1e9:.1f} GB are needed in {out!r} and {free / 1e9:.1f} GB are free; free '
                        'some, take fewer --corruptions or --severities, or --format jpg.')


def _sizes(root: str, settings: Settings, sample: tuple[SourceImage, list[tuple[str, int]]]) -> list[int]:
    image, cells = sample
    try:
        pixels, _ = read_image(osp.join(root, image.path))
        return [len(_corrupted(pixels, image, cell, settings)) for cell in cells]
    except UnreadableError:
        return []


def _corrupted(pixels, image: SourceImage, cell: tuple[str, int], settings: Settings) -> bytes:
    return encode(corrupt(pixels, *cell, image.image_id, settings.seed), settings.format, settings.quality)


def _run_all(run, root: str, out: str, settings: Settings, tasks: list[_Task], report: Report, show: bool) -> None:
    columns = (TextColumn('corrupted images'), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn())
    with Progress(*columns, disable=not show) as progress:
        bar = progress.add_task('', total=sum(len(task.images) * len(task.cells) for task in tasks))
        for files, written, refused in run(partial(_run, root, out, settings), tasks):
            report.written += written
            report.refused += refused
            progress.advance(bar, files)
    report.refused.sort()


def _run(root: str, out: str, settings: Settings, task: _Task) -> tuple[int, int, list[tuple[str, str]]]:
    """Writes a chunk: its images, then what is known of them. Returns (files asked for, files written, refused)."""
    folder = Folder(out)
    rows = [list(_write_versions(root, folder, settings, image, task.cells)) for image in task.images]
    for cell, records in zip(task.cells, zip(*rows)):
        folder.write(records_path(cell_path(*cell), task.number), format_records(records))
    errors = [(record['source'], record['error']) for row in rows for record in row if 'error' in record]
    asked = len(task.images) * len(task.cells)
    return asked, asked - len(errors), list(dict.fromkeys(errors))


def _write_versions(root: str, folder: Folder, settings: Settings, image: SourceImage,
                    cells: list[tuple[str, int]]) -> Iterator[dict]:
    """Writes an image into every cell, and yields what is known of it there."""
    about = dict(image_id=image.image_id, source=image.path)
    try:
        pixels, digest = read_image(osp.join(root, image.path))
    except UnreadableError as error:
        yield from [dict(about, error=str(error))] * len(cells)
        return
    path = image.target + WRITERS[settings.format][0]
    for cell in cells:
        try:
            data = _corrupted(pixels, image, cell, settings)
        except UnreadableError as error:
            yield dict(about, error=str(error))
            continue
        folder.write(osp.join(cell_path(*cell), path), data)
        yield dict(about, source_sha256=digest, file=path, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def _clean_up(images: list[SourceImage], settings: Settings, out: str) -> None:
    """Takes away what killed runs left half-written, once no shard has anything left to write."""
    chunks = range(-(-len(images) // CHUNK))
    cells = [osp.join(out, cell_path(*cell)) for cell in settings.cells]
    if all(osp.exists(records_path(cell, chunk)) for cell in cells for chunk in chunks):
        shutil.rmtree(osp.join(out, PARTIAL), ignore_errors=True)
