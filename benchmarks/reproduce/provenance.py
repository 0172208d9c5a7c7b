"""What a result is of: its data, and the libraries and the commit that made it."""
import hashlib
import importlib.metadata
import os
import os.path as osp
from collections.abc import Iterable
from functools import lru_cache
from typing import Optional

from mmengine.config import Config
from mmengine.utils import get_git_hash

from mmadasap.corruption.versions import library_versions
from mmadasap.registry import inner_datasets

PACKAGES = ('torch', 'torch_pruning', 'scipy', 'mmengine', 'mmdet', 'mmpretrain', 'mmcv', 'mmadasap')


def data_hash(cfg: Config) -> Optional[str]:
    """Names the data: paths and sizes of all files below the folders of its images; None where there are none."""
    loaders = cfg.train_dataloader, cfg.test_dataloader
    return _hash_of(frozenset(root for loader in loaders for root in data_roots(loader.dataset)))


@lru_cache
def _hash_of(roots: frozenset[str]) -> Optional[str]:
    lines = sorted(line for root in roots for line in _files(root))
    return hashlib.sha256('\n'.join(lines).encode()).hexdigest()[:16] if lines else None


def data_roots(dataset: dict) -> set[str]:
    """Folders of a data set, also inside wrappers."""
    return {inner['data_root'] for inner in inner_datasets(dataset) if inner.get('data_root')}


def versions() -> dict[str, str]:
    """Library -> version, of all that may change a number; hosts by what is imported under their name."""
    providers = importlib.metadata.packages_distributions()
    names = {name: providers[name][0] for name in PACKAGES if name in providers}
    return library_versions() | {
        name: f'{distribution} {importlib.metadata.version(distribution)}' for name, distribution in names.items()} | {
            'commit': get_git_hash(digits=10)}


def is_rounded(result: dict) -> bool:
    """Whether a run was trained in mixed precision on a processor where torch multiplies bfloat16 in float32."""
    return result.get('amp', False) and result.get('training', {}).get('native_bfloat16') is False


def marked(label: str, results: Iterable[dict]) -> str:
    """A label, with a dagger where times of these results are of such a processor."""
    return f'{label} †' if any(map(is_rounded, results)) else label


def _files(root: str) -> list[str]:
    found = []
    for folder, _, names in os.walk(root, followlinks=True):
        paths = [osp.join(folder, name) for name in names]
        found += [f'{osp.relpath(path, root)} {osp.getsize(path)}' for path in paths]
    return found
