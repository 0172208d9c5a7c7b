"""What is known of a grid of evaluations, one small file a cell, so that a killed one goes on."""
import hashlib
import json
import os.path as osp
from glob import escape as glob_escape
from glob import glob
from typing import Any, Optional

from mmengine.config import Config
from mmengine.dist import broadcast_object_list, is_main_process

from mmadasap.fileio import file_digest, write_json
from mmadasap.registry import inner_datasets
from mmadasap.version import __version__, installed_version

LIBRARIES = ('torch', 'mmengine', 'mmcv', 'mmdet', 'mmpretrain')


class Cells:
    """Results of one model by corruption and severity, in a folder of its own; the main process reads and writes.

    Args:
        folder: Where the folders of all models go; None keeps nothing.
        key: What the results depend on, as :func:`cell_key` gives it.
    """

    def __init__(self, folder: Optional[str], key: str):
        self.folder = folder and osp.join(folder, key)

    def get(self, name: str) -> Optional[dict]:
        """The result of a cell, on all processes alike; None if it is not known yet."""
        found = [None]
        if self.folder and is_main_process() and osp.exists(self._path(name)):
            with open(self._path(name)) as file:
                found = [json.load(file)]
        broadcast_object_list(found)
        return found[0]

    def count(self) -> int:
        """How many cells are known."""
        return len(glob(osp.join(glob_escape(self.folder), '*.json'))) if self.folder else 0

    def put(self, name: str, result: dict) -> None:
        """Keeps the result of a cell."""
        if self.folder and is_main_process():
            write_json(self._path(name), result)

    def _path(self, name: str) -> str:
        return osp.join(self.folder, f'{name}.json')


def cell_key(cfg: Config, checkpoint: str, *more: Any) -> str:
    """Names all that a result depends on: network, weights, data, metric, libraries, and whatever else is given.

    Of the data the config and the files of annotations or lists that it names: images, and files of single images'
    annotations, that are replaced in their folder are not noticed. Number of workers and the like are left out: they
    change no result.
    """
    loader = cfg.test_dataloader
    parts = [cfg.model, loader.dataset, loader.get('batch_size'), cfg.test_evaluator, cfg.get('test_cfg'), __version__]
    plain = Config(dict(parts=parts))._cfg_dict.to_dict()
    weights = file_digest(checkpoint) if osp.isfile(checkpoint) else checkpoint
    libraries = {name: installed_version(name) for name in LIBRARIES}
    known = [plain, weights, _annotations(loader.dataset), libraries, *more]
    return hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _annotations(dataset: dict) -> list[str]:
    """Digests of the files that data sets take their annotations or lists of images from."""
    paths = [osp.join(inner.get('data_root') or '', inner.get('ann_file') or '') for inner in inner_datasets(dataset)]
    return [file_digest(path) for path in paths if osp.isfile(path)]
