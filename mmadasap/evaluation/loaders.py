"""Configs of data loaders over clean images and over ones corrupted on the fly."""
import copy
import os.path as osp
from collections.abc import Callable

from mmadasap.corruption.manifest import header_path
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

    return with_datasets(loader, clean)


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
            pipeline.insert(loading + 1, dict(type='mmadasap.Corrupt', root=image_root(dataset), **step))
        else:
            pipeline.insert(0, dict(type='mmadasap.Corrupt', channel_order='rgb', **step))
        return dict(dataset, pipeline=pipeline)

    return with_datasets(loader, corrupted)


def with_datasets(loader: dict, change: Callable[[dict], dict]) -> dict:
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


def image_root(dataset: dict) -> str:
    """The folder that image paths are told from, so that a data set may lie anywhere.

    A ``split`` stays in what is told, as in the copies that tools/build_corrupted_dataset.py makes of it.
    """
    prefix = dataset.get('data_prefix') or ''
    if not isinstance(prefix, str):
        prefix = next((prefix[key] for key in ('img_path', 'img', 'sub_data_root') if key in prefix), '')
    return osp.join(dataset.get('data_root') or '', prefix)


def _find(pipeline: list[dict], kind: str):
    return next((i for i, step in enumerate(pipeline) if type_name(step) == kind), None)
