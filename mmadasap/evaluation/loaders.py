"""Configs of data loaders over corrupted images, made on the fly or stored."""
import copy
import os.path as osp
from collections.abc import Callable
from itertools import zip_longest
from typing import Optional

from mmengine.registry import DATASETS

from mmadasap.corruption.manifest import StoredCopy, header_path, read_copy
from mmadasap.datasets.corrupt import image_id
from mmadasap.errors import UserError
from mmadasap.registry import type_name


def clean_loader(loader: dict) -> dict:
    """The dataloader config with images as they are: a ``Corrupt`` in its pipeline stays, at severity 0.

    Raises:
        UserError: The data set is itself a corrupted copy.
    """

    def clean(dataset: dict) -> dict:
        root = dataset.get('data_root')
        if root and osp.exists(header_path(osp.normpath(root))):
            raise UserError(f'test_dataloader reads {root!r}, which is a corrupted copy itself; give the config of the '
                            'clean data set.')
        steps = [dict(step, severity=0) if type_name(step) == 'Corrupt' else step for step in dataset['pipeline']]
        return dict(dataset, pipeline=steps)

    return _with_datasets(loader, clean)


def corrupted_loader(loader: dict, corruption: str, severity: int, seed: int = 0) -> dict:
    """The dataloader config with images corrupted on the fly.

    A ``Corrupt`` that the pipeline holds already stays where it is and takes these arguments; else one goes in right
    after ``LoadImageFromFile``, or first where images come from memory (taken as RGB, as CIFAR's are).
    """

    def corrupted(dataset: dict) -> dict:
        step = dict(corruption=corruption, severity=severity, seed=seed)
        pipeline = list(dataset['pipeline'])
        present, loading = _find(pipeline, 'Corrupt'), _find(pipeline, 'LoadImageFromFile')
        if present is not None:
            pipeline[present] = dict(pipeline[present], **step)
        elif loading is not None:
            pipeline.insert(loading + 1, dict(type='mmadasap.Corrupt', root=_image_root(dataset), **step))
        else:
            pipeline.insert(0, dict(type='mmadasap.Corrupt', channel_order='rgb', **step))
        return dict(dataset, pipeline=pipeline)

    return _with_datasets(loader, corrupted)


def stored_loader(loader: dict, folder: str, corruption: str, severity: int) -> dict:
    """The dataloader config over a copy of its data set that ``tools/build_corrupted_dataset.py`` stored.

    Raises:
        UserError: ``folder`` holds no such copy, or one that is not whole; the loader reads several data sets; or its
            data set takes a split and the copy was built without.
    """
    cell = osp.join(folder, corruption, str(severity))
    header = read_copy(cell).header
    only_dataset(loader)

    def stored(dataset: dict) -> dict:
        split = dataset.get('split')
        if split and header['source']['layout'] == 'folder' and header['source']['split'] != split:
            raise UserError(f'{cell!r} was built with --split {header["source"]["split"]}, and the test set takes '
                            f'split {split!r}; build it with tools/build_corrupted_dataset.py '
                            f'{dataset.get("data_root")} --split {split}.')
        pipeline = [step for step in dataset['pipeline'] if type_name(step) != 'Corrupt']
        return dataset | dict(data_root=cell, pipeline=pipeline) | copy.deepcopy(header['dataset'])

    return _with_datasets(loader, stored)


def only_dataset(loader: dict) -> dict:
    """The config of the one data set of a loader, also inside wrappers.

    Raises:
        UserError: There are several.
    """
    found = []
    _with_datasets(loader, lambda dataset: found.append(dataset) or dataset)
    if len(found) > 1:
        raise UserError(f'test_dataloader joins {len(found)} data sets, and a stored copy is of one; test them one by '
                        'one, or corrupt on the fly.')
    return found[0]


def image_ids(loader: dict) -> list[str]:
    """What the draws of a loader's images depend on, in its order.

    Raises:
        UserError: As :func:`only_dataset`.
    """
    config = only_dataset(loader)
    dataset, root = DATASETS.build(copy.deepcopy(config)), _image_root(config)
    return [image_id(dataset.get_data_info(i), root) for i in range(len(dataset))]


def check_same_images(cell: str, stored: StoredCopy, clean: list[str], found: list[str]) -> None:
    """Refuses a copy that is not of the test set's images.

    Args:
        cell: Its folder, for the message.
        stored: What is known of it.
        clean: Image ids of the test set.
        found: Image ids of the data set over the copy; they may differ by the suffix of files.

    Raises:
        UserError: Naming the first image they differ by.
    """
    unknown = next((i for i in clean if i not in stored.image_ids), None)
    if unknown is not None:
        raise UserError(f'{cell!r} knows no image {unknown!r} of the test set; build the copy of the very data set and '
                        '--split that test_dataloader reads, without --limit.')
    other = next((pair for pair in zip_longest(clean, found) if not _same_image(*pair)), None)
    if other is not None:
        raise UserError(f'{cell!r} gives image {other[1]!r} where the test set has {other[0]!r}; build the copy of the '
                        'very data set and --split that test_dataloader reads.')


def _same_image(clean: Optional[str], found: Optional[str]) -> bool:
    return clean == found or (None not in (clean, found) and osp.splitext(clean)[0] == osp.splitext(found)[0])


def _with_datasets(loader: dict, change: Callable[[dict], dict]) -> dict:
    """The dataloader config with every data set that has a pipeline changed, also inside wrappers.

    Raises:
        UserError: There is none.
    """
    count = 0

    def walk(dataset: dict) -> dict:
        nonlocal count
        if 'datasets' in dataset:
            dataset['datasets'] = [walk(part) for part in dataset['datasets']]
        if 'dataset' in dataset:
            dataset['dataset'] = walk(dataset['dataset'])
        if 'pipeline' not in dataset or 'datasets' in dataset or 'dataset' in dataset:
            return dataset
        count += 1
        return change(dataset)

    loader = copy.deepcopy(loader)
    loader['dataset'] = walk(loader['dataset'])
    if not count:
        raise UserError('test_dataloader.dataset has no pipeline, so there is no place to corrupt images; add one that '
                        'starts with LoadImageFromFile.')
    return loader


def _find(pipeline: list[dict], kind: str):
    return next((i for i, step in enumerate(pipeline) if type_name(step) == kind), None)


def _image_root(dataset: dict) -> str:
    """The folder that image paths are told from, so that a data set may lie anywhere.

    A ``split`` stays in what is told, as in the copies that tools/build_corrupted_dataset.py makes of it.
    """
    prefix = dataset.get('data_prefix') or ''
    if not isinstance(prefix, str):
        prefix = next((prefix[key] for key in ('img_path', 'img', 'sub_data_root') if key in prefix), '')
    return osp.join(dataset.get('data_root') or '', prefix)
