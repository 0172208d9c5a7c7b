"""Accuracy on clean and corrupted images of one model, over exactly the corruptions and severities asked for."""
import copy
import os
import os.path as osp
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Optional

import rich.progress
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner, TestLoop

from mmadasap.corruption.manifest import cell_path, read_copy
from mmadasap.corruption.versions import library_versions
from mmadasap.engine.slim_config import add_guard
from mmadasap.evaluation.accuracy import class_accuracies, find_accuracy, with_class_accuracies
from mmadasap.evaluation.cells import Cells, cell_key
from mmadasap.evaluation.loaders import clean_loader, corrupted_loader
from mmadasap.evaluation.stored import check_copies, stored_loader
from mmadasap.pruning import count_parameters

Grid = dict[str, dict[int, float]]


@dataclass
class RobustnessResult:
    """Accuracies, each a share between 0 and 1.

    Attributes:
        clean: On the images as they are.
        corrupted: Corruption -> severity -> accuracy.
        metric: What is counted as accuracy.
        clean_classes: Class -> accuracy on clean images.
        corrupted_classes: Class -> corruption -> severity -> accuracy.
        parameters: How many the model has.
    """
    clean: float
    corrupted: Grid = field(default_factory=dict)
    metric: str = ''
    clean_classes: dict[str, float] = field(default_factory=dict)
    corrupted_classes: dict[str, Grid] = field(default_factory=dict)
    parameters: Optional[int] = None

    @property
    def mean_corrupted(self) -> float:
        """mAP_C (mPC): mean over all corruptions and severities that were run."""
        return _mean([v for row in self.corrupted.values() for v in row.values()])

    @property
    def relative(self) -> float:
        """R_C (rPC): corrupted over clean accuracy."""
        return self.mean_corrupted / self.clean if self.clean else float('nan')

    def by_corruption(self) -> dict[str, float]:
        """Corruption -> mean over its severities."""
        return {name: _mean(list(row.values())) for name, row in self.corrupted.items()}

    def by_severity(self) -> dict[int, float]:
        """Severity -> mean over the corruptions; 0 is clean."""
        severities = sorted({s for row in self.corrupted.values() for s in row})
        means = {s: _mean([row[s] for row in self.corrupted.values() if s in row]) for s in severities}
        return {0: self.clean} | means

    def by_class(self) -> dict[str, tuple[float, float]]:
        """Class -> (clean accuracy, mean over all that was run)."""
        grids = self.corrupted_classes
        return {
            name: (clean, _mean([v for row in grids.get(name, {}).values() for v in row.values()]))
            for name, clean in self.clean_classes.items()
        }

    def to_dict(self) -> dict:
        """Plain data for JSON; mAP_C goes by both its names, as R_C does."""
        return dict(
            metric=self.metric,
            parameters=self.parameters,
            clean=self.clean,
            corrupted=_plain(self.corrupted),
            by_corruption=self.by_corruption(),
            mean_corrupted=self.mean_corrupted,
            relative=self.relative,
            mPC=self.mean_corrupted,
            rPC=self.relative,
            clean_classes=self.clean_classes,
            corrupted_classes={name: _plain(grid) for name, grid in self.corrupted_classes.items()})


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else float('nan')


def _plain(grid: Grid) -> dict:
    return {name: {str(s): v for s, v in row.items()} for name, row in grid.items()}


def evaluate_robustness(cfg: Config,
                        checkpoint: str,
                        corruptions: Sequence[str],
                        severities: Sequence[int],
                        metric: Optional[str] = None,
                        seed: int = 0,
                        stored: Optional[str] = None,
                        cells: Optional[str] = None) -> RobustnessResult:
    """Tests one checkpoint on the clean and on every corrupted version of its test set; the model is loaded once.

    Args:
        cfg: Config of the model, with test_dataloader and test_evaluator.
        checkpoint: Path of its weights.
        corruptions: Names of corruptions.
        severities: 1 to 5 each.
        metric: Key of the accuracy among the evaluator's results; None finds it.
        seed: Of the corruptions made on the fly.
        stored: Folder of stored corrupted copies, read instead of corrupting on the fly.
        cells: Folder where finished cells of the grid are kept, and found again after a kill.

    Raises:
        UserError: ``stored`` lacks a copy or has one of other images or labels, the test set is itself a corrupted
            copy, or the evaluator gives no such accuracy.
    """
    cfg = copy.deepcopy(cfg)
    cfg.test_evaluator = with_class_accuracies(cfg.test_evaluator)
    grid = [(name, severity) for name in corruptions for severity in severities]
    copies = {cell: read_copy(osp.join(stored, cell_path(*cell))) for cell in grid} if stored else {}
    digests = sorted((cell_path(*cell), stored_copy.digest) for cell, stored_copy in copies.items())
    known = Cells(cells, cell_key(cfg, checkpoint, metric, seed, library_versions(), digests))
    if known.count() and is_main_process():
        print(f'{known.count()} results of this model are there from an earlier run; remove {known.folder!r} to test '
              'anew.', flush=True)
    tester = _Tester(cfg, checkpoint, metric)

    def cell(name: str, loader: dict) -> dict:
        found = known.get(name)
        if found is None:
            found = tester.test(loader)
            known.put(name, found)
        return found

    clean_images = clean_loader(cfg.test_dataloader)
    if stored:
        check_copies(cfg.test_dataloader, clean_images, stored, copies)
    clean = cell('clean', clean_images)
    result = RobustnessResult(
        clean['accuracy'], metric=clean['metric'], clean_classes=clean['classes'], parameters=tester.parameters)
    silent = bool(os.getenv('CI')) or not is_main_process()
    for name, severity in rich.progress.track(grid, description='corruptions', disable=silent):
        loader = (stored_loader(cfg.test_dataloader, stored, name, severity)
                  if stored else corrupted_loader(cfg.test_dataloader, name, severity, seed))
        found = cell(f'{name}-{severity}', loader)
        result.corrupted.setdefault(name, {})[severity] = found['accuracy']
        for label, value in found['classes'].items():
            result.corrupted_classes.setdefault(label, {}).setdefault(name, {})[severity] = value
    return result


class _Tester:
    """A model, loaded once, and its accuracy on any data."""

    def __init__(self, cfg: Config, checkpoint: str, metric: Optional[str]):
        cfg = copy.deepcopy(cfg)
        cfg.load_from, cfg.resume = checkpoint, False
        cfg.log_level = 'WARNING'
        add_guard(cfg, whole=True)
        self.cfg, self.metric = cfg, metric
        self.runner = Runner.from_cfg(cfg)
        self.runner.call_hook('before_run')
        self.runner.load_or_resume()
        self.parameters = count_parameters(self.runner.model)

    def test(self, loader: dict) -> dict:
        """Accuracy, its name, and the accuracy of every class where the metric tells."""
        evaluator = self.runner.build_evaluator(self.cfg.test_evaluator)
        half = self.cfg.get('test_cfg', {}).get('fp16', False)
        loop = TestLoop(self.runner, self.runner.build_dataloader(loader), evaluator, fp16=half)
        # Hooks ask the runner for the loader that runs, and it would build the clean one for them.
        self.runner._test_loop = loop
        results = loop.run()
        name, accuracy = find_accuracy(results, self.metric)
        return dict(metric=name, accuracy=accuracy, classes=class_accuracies(results, name))
