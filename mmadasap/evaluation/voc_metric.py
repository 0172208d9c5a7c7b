"""mmdet's VOC metric with the accuracy of every class, unrounded."""
from mmdet.evaluation import VOCMetric as _VOCMetric
from mmdet.evaluation import eval_map

from mmadasap.registry import METRICS


@METRICS.register_module()
class VOCMetric(_VOCMetric):
    """mmdet's VOCMetric; ``metric='mAP'`` also gives ``AP/<class>`` and rounds nothing.

    ``AP50`` and its like are mmdet's numbers before it rounds them to three digits; ``AP/<class>`` is the mean over the
    IoU thresholds, as mAP is. A class without objects has none.

    Args:
        **kwargs: Of :class:`mmdet.evaluation.VOCMetric`.
    """

    def compute_metrics(self, results: list) -> dict:
        """As mmdet's, with every class."""
        if self.metric != 'mAP':
            return super().compute_metrics(results)
        truth, found = zip(*results)
        scores, classes = {}, {}
        for threshold in self.iou_thrs:
            mean, rows = eval_map(
                found, truth, scale_ranges=self.scale_ranges, iou_thr=threshold, dataset=self.dataset_meta['classes'],
                logger='silent', eval_mode=self.eval_mode, use_legacy_coordinate=True)
            scores[f'AP{int(threshold * 100):02d}'] = mean
            for name, row in zip(self.dataset_meta['classes'], rows):
                if row['num_gts'] > 0:
                    classes.setdefault(f'AP/{name}', []).append(float(row['ap']))
        return dict(mAP=_mean(scores.values())) | scores | {name: _mean(values) for name, values in classes.items()}


def _mean(values) -> float:
    return sum(values) / len(values)
