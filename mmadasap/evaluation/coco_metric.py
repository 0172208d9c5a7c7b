"""mmdet's COCO metric with numbers where nothing was found, and with the classes of boxes and of masks apart."""
from mmdet.evaluation import CocoMetric as _CocoMetric

from mmadasap.registry import METRICS

CLASS = '_precision'


@METRICS.register_module()
class CocoMetric(_CocoMetric):
    """mmdet's CocoMetric for means over corruptions: a network that finds nothing in any image has accuracy 0.

    mmdet then gives no number at all, and of classes those of the last kind in ``metric`` alone. Here ``classwise``
    gives ``bbox_<class>_precision`` and ``segm_<class>_precision``.

    Args:
        **kwargs: Of :class:`mmdet.evaluation.CocoMetric`.
    """

    def compute_metrics(self, results: list) -> dict:
        """As mmdet's, kind by kind."""
        if self.format_only:
            return super().compute_metrics(results)
        kinds, found = self.metrics, {}
        for kind in kinds:
            self.metrics = [kind]
            scores = super().compute_metrics(results)
            found |= self._of_kind(kind, scores) if kind in ('bbox', 'segm') else scores
        self.metrics = kinds
        return found

    def _of_kind(self, kind: str, scores: dict) -> dict:
        scores = scores or self._nothing(kind)
        return {f'{kind}_{name}' if name.endswith(CLASS) else name: value for name, value in scores.items()}

    def _nothing(self, kind: str) -> dict:
        objects = {a['category_id'] for a in self._coco_api.load_anns(self._coco_api.get_ann_ids())}
        classes = [c['name'] for c in self._coco_api.load_cats(self.cat_ids) if c['id'] in objects]
        return {f'{kind}_mAP': 0.0} | {f'{name}{CLASS}': 0.0 for name in classes if self.classwise}
