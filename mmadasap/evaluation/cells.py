"""What is known of a grid of evaluations, one small file a cell, so that a killed one goes on."""
import hashlib
import json
import os.path as osp
from typing import Any, Optional

from mmengine.config import Config
from mmengine.dist import broadcast_object_list, is_main_process

from mmadasap.fileio import file_digest, write_json
from mmadasap.version import __version__


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

    def put(self, name: str, result: dict) -> None:
        """Keeps the result of a cell."""
        if self.folder and is_main_process():
            write_json(self._path(name), result)

    def _path(self, name: str) -> str:
        return osp.join(self.folder, f'{name}.json')


def cell_key(cfg: Config, checkpoint: str, *more: Any) -> str:
    """Names all that a result depends on: network, weights, data, metric, this package, and whatever else is given.

    Of the data the config alone: images that are replaced in their folder are not noticed. Number of workers and the
    like are left out: they change no result.
    """
    loader = cfg.test_dataloader
    parts = [cfg.model, loader.dataset, loader.get('batch_size'), cfg.test_evaluator, cfg.get('test_cfg'), __version__]
    plain = Config(dict(parts=parts))._cfg_dict.to_dict()
    weights = file_digest(checkpoint) if osp.isfile(checkpoint) else checkpoint
    text = json.dumps([plain, weights, *more], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
