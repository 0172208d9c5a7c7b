"""Accuracy on clean and corrupted images of one model, over exactly the corruptions and severities asked for."""
import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import rich.progress
from mmengine.config import Config
from mmengine.runner import Runner, TestLoop

from mmadasap.errors import UserError


@dataclass
class RobustnessResult:
    """Accuracies, each a share between 0 and 1.

    Attributes:
        clean: On the images as they are.
        corrupted: Corruption -> severity -> accuracy.
    """
    clean: float
    corrupted: dict[str, dict[int, float]] = field(default_factory=dict)

    @property
    def mean_corrupted(self) -> float:
        """mAP_C (mPC): mean over all corruptions and severities that were run."""
        values = [v for row in self.corrupted.values() for v in row.values()]
        return sum(values) / len(values) if values else float('nan')

    @property
    def relative(self) -> float:
        """R_C (rPC): corrupted over clean accuracy."""
        return self.mean_corrupted / self.clean if self.clean else float('nan')

    def to_dict(self) -> dict:
        """Plain data for JSON."""
        return dict(
            clean=self.clean,
            corrupted={name: {str(s): v for s, v in row.items()} for name, row in self.corrupted.items()},
            mean_corrupted=self.mean_corrupted,
            relative=self.relative)


def evaluate_robustness(cfg: Config,
                        checkpoint: str,
                        corruptions: Sequence[str],
                        severities: Sequence[int],
                        metric: str = 'pascal_voc/mAP') -> RobustnessResult:
    """Tests one checkpoint on the clean and on every corrupted version of its test set; the model is loaded once.

    Args:
        cfg: Config of the model, with test_dataloader and test_evaluator.
        checkpoint: Path of its weights.
        corruptions: Names of corruptions.
        severities: 1 to 5 each.
        metric: Key of the accuracy among the evaluator's results.
    """
    cfg = copy.deepcopy(cfg)
    cfg.load_from, cfg.resume = checkpoint, False
    cfg.log_level = 'WARNING'
    runner = Runner.from_cfg(cfg)
    runner.call_hook('before_run')
    runner.load_or_resume()

    def accuracy(loader: dict) -> float:
        loop = TestLoop(runner, runner.build_dataloader(loader), runner.build_evaluator(cfg.test_evaluator))
        results = loop.run()
        if metric not in results:
            raise UserError(f'The evaluator gives no {metric!r}, only {sorted(results)}; name one of these.')
        return float(results[metric])

    result = RobustnessResult(accuracy(cfg.test_dataloader))
    cells = [(name, severity) for name in corruptions for severity in severities]
    for name, severity in rich.progress.track(cells, description='corruptions', disable=bool(os.getenv('CI'))):
        value = accuracy(corrupted_loader(cfg.test_dataloader, name, severity))
        result.corrupted.setdefault(name, {})[severity] = value
    return result


def corrupted_loader(loader: dict, corruption: str, severity: int) -> dict:
    """The dataloader config with corrupted images: ``Corrupt`` goes in right after the image is loaded.

    Raises:
        UserError: The pipeline loads no image.
    """
    loader = copy.deepcopy(loader)
    pipeline = loader['dataset']['pipeline']
    at = [i for i, step in enumerate(pipeline) if step['type'].rpartition('.')[2] == 'LoadImageFromFile']
    if not at:
        raise UserError('test_dataloader.dataset.pipeline has no LoadImageFromFile, so there is no place to corrupt '
                        'images; add it.')
    step = dict(type='mmadasap.Corrupt', corruption=corruption, severity=severity)
    loader['dataset']['pipeline'] = [*pipeline[:at[0] + 1], step, *pipeline[at[0] + 1:]]
    return loader


def format_results(results: dict[str, RobustnessResult]) -> str:
    """A table: one row a model, one column a corruption (mean over its severities)."""
    names = list(next(iter(results.values())).corrupted)
    lines = [f'{"":24}' + ''.join(f'{r:>12}' for r in results)]

    def row(label, values):
        lines.append(f'{label:24}' + ''.join(f'{v:12.3f}' for v in values))

    row('clean mAP', [r.clean for r in results.values()])
    for name in names:
        row(name, [sum(r.corrupted[name].values()) / len(r.corrupted[name]) for r in results.values()])
    row('mAP_C', [r.mean_corrupted for r in results.values()])
    row('R_C', [r.relative for r in results.values()])
    return '\n'.join(lines)
