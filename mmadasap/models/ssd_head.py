"""mmdet's SSD head, able to predict."""
from mmdet.models.dense_heads import SSDHead as _SSDHead

from mmadasap.registry import MODELS


@MODELS.register_module()
class SSDHead(_SSDHead):
    """mmdet's SSDHead with the attribute that mmdet's decoding reads and SSDHead never sets."""

    loss_cls = None
