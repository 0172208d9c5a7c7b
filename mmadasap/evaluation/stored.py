"""Stored corrupted copies in the place of a test set, once they are known to be of the very images that are tested."""
import copy
import json
import os.path as osp
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from mmengine.registry import DATASETS

from mmadasap.corruption.manifest import StoredCopy, cell_path, read_copy
from mmadasap.corruption.reading import WRITERS
from mmadasap.datasets.corrupt import image_id
from mmadasap.errors import UserError, brief
from mmadasap.evaluation.loaders import image_root, with_datasets
from mmadasap.fileio import cached_digest
from mmadasap.registry import dataset_class, takes, type_name

PLACE = ('ann_file', 'data_prefix')
"""What a copy's header says of its data set that is not the user's to choose."""
TRUTH = ('gt_label', 'gt_score', 'instances')
"""What data sets of the hosts say is to be found in an image."""


def stored_loader(loader: dict, folder: str, corruption: str, severity: int) -> dict:
    """The dataloader config over a copy of its data set that ``tools/build_corrupted_dataset.py`` stored.

    Raises:
        UserError: ``folder`` holds no such copy, or one that is not whole; the loader reads several data sets; or its
            data set takes a split and the copy was built without, or cannot be told the suffix of the copy's images.
    """
    cell = osp.join(folder, corruption, str(severity))
    header = read_copy(cell).header
    _only_dataset(loader)

    def stored(dataset: dict) -> dict:
        split = dataset.get('split')
        if split and header['source']['layout'] == 'folder' and header['source']['split'] != split:
            raise UserError(f'{cell!r} was built with --split {header["source"]["split"]}, and the test set takes '
                            f'split {split!r}; build it with tools/build_corrupted_dataset.py '
                            f'{dataset.get("data_root")} --split {split}.')
        pipeline = [step for step in dataset['pipeline'] if type_name(step) != 'Corrupt']
        place = {key: copy.deepcopy(header['dataset'][key]) for key in PLACE if key in header['dataset']}
        return dataset | dict(data_root=cell, pipeline=pipeline) | place | _suffix(dataset, header)

    return with_datasets(loader, stored)


def _suffix(dataset: dict, header: dict) -> dict:
    """What else the user's data set must be told to find images of the copy's format."""
    suffix, layout, kind = WRITERS[header['format']][0], header['source']['layout'], dataset_class(dataset)
    if layout == 'folder' and takes(kind, 'extensions'):
        return dict(extensions=(suffix, ))
    if layout != 'voc' or (suffix == '.jpg' and not takes(kind, 'img_suffix')):
        return {}
    # Here, for mmdet may be absent.
    from mmadasap.datasets.voc import with_suffix
    return dict(type=with_suffix(kind), img_suffix=suffix)


def _only_dataset(loader: dict) -> dict:
    """The config of the one data set of a loader, also inside wrappers."""
    found = []
    with_datasets(loader, lambda dataset: found.append(dataset) or dataset)
    if len(found) > 1:
        raise UserError(f'test_dataloader joins {len(found)} data sets, and a stored copy is of one; test them one by '
                        'one, or corrupt on the fly.')
    return found[0]


@dataclass(frozen=True)
class Sample:
    """An image of a data set.

    Attributes:
        image_id: What its draws depend on.
        path: Its file.
        truth: What is to be found in it, as JSON.
    """
    image_id: str
    path: str
    truth: str


def samples(loader: dict) -> list[Sample]:
    """The images of a loader's data set, in its order.

    Raises:
        UserError: The loader reads several data sets.
    """
    config = _only_dataset(loader)
    dataset, root = DATASETS.build(copy.deepcopy(config)), image_root(config)
    return [_sample(dataset.get_data_info(i), root) for i in range(len(dataset))]


def _sample(info: dict, root: str) -> Sample:
    name = image_id(info, root)
    truth = json.dumps([info.get(key) for key in TRUTH], default=_plain)
    # Data sets that keep their images in memory name files by their ids.
    return Sample(name, info.get('img_path') or osp.join(root, name), truth)


def _plain(value: Any) -> Any:
    """Arrays and numbers of NumPy or PyTorch for JSON."""
    return value.tolist() if hasattr(value, 'tolist') else str(value)


def check_copies(loader: dict, clean: dict, folder: str, copies: Mapping[tuple[str, int], StoredCopy]) -> None:
    """Refuses stored copies that are not of the very images that are tested, or say that other things are in them.

    Args:
        loader: Dataloader config of the test set.
        clean: The same over images as they are.
        folder: Where the copies are.
        copies: (corruption, severity) -> what is known of the copy.

    Raises:
        UserError: Naming the first image they differ by, the first file that is not the one a copy was made of, or
            the error that the test set's type meets in a copy.
    """
    tested = samples(clean)
    digests = {sample.image_id: _digest(sample.path) for sample in tested}
    for cell, stored in copies.items():
        path = osp.join(folder, cell_path(*cell))
        _check_sources(path, stored, tested, digests)
        check_same_images(path, stored, tested, _samples_of(path, stored, stored_loader(loader, folder, *cell)))


def _digest(path: str) -> str:
    try:
        return cached_digest(path)
    except (OSError, ValueError):
        return ''


def _check_sources(cell: str, stored: StoredCopy, tested: Iterable[Sample], digests: Mapping[str, str]) -> None:
    for sample in tested:
        if sample.image_id not in stored.sources:
            raise UserError(f'{cell!r} knows no image {sample.image_id!r} of the test set; build the copy of the very '
                            'data set and --split that test_dataloader reads, without --limit.')
        if digests[sample.image_id] != stored.sources[sample.image_id]:
            raise UserError(f'{sample.path!r} is not the image that {cell!r} was made of, or was changed since; build '
                            'the copy of the very data set that test_dataloader reads.')


def _samples_of(cell: str, stored: StoredCopy, loader: dict) -> list[Sample]:
    try:
        return samples(loader)
    except UserError:
        raise
    except Exception as error:  # a data set may meet anything in folders that are not in its layout
        raise UserError(f'{cell!r} is a copy in {stored.header["source"]["layout"]} layout, and the type of the test '
                        f'set, {type_name(_only_dataset(loader))}, does not read it ({brief(error)}); build the copy '
                        'of the folder that its data_root names, or corrupt on the fly (without --stored).') from None


def check_same_images(cell: str, stored: StoredCopy, clean: Iterable[Sample], found: Iterable[Sample]) -> None:
    """Refuses a copy whose data set gives other images, or other truth, than the test set.

    Args:
        cell: Its folder.
        stored: What is known of it.
        clean: Images of the test set, all known to the copy.
        found: Images of the data set over the copy.

    Raises:
        UserError: Naming the first image they differ by.
    """
    for one, other in zip_longest(clean, found):
        if None in (one, other) or not _is_same(osp.join(cell, stored.files[one.image_id]), other.path):
            raise UserError(f'{cell!r} gives {other and other.path!r} where the test set has image '
                            f'{one and one.image_id!r}; build the copy of the very data set and --split that '
                            'test_dataloader reads.')
        if one.truth != other.truth:
            raise UserError(f'{cell!r} gives image {other.image_id!r} other labels or boxes than the test set; build '
                            'the copy of the very data set that test_dataloader reads, or, where that takes labels '
                            'from an ann_file and not from the names of folders, corrupt on the fly (without '
                            '--stored).')


def _is_same(path: str, other: str) -> bool:
    return osp.abspath(path) == osp.abspath(other)
