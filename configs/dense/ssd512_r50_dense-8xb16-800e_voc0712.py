_base_ = [
    '../_base_/models/ssd512_r50.py', '../_base_/datasets/voc0712.py', '../_base_/schedules/ssd_800e.py',
    '../_base_/default_runtime.py'
]
# Knobs: the batch is 8 x 16 images; give --auto-scale-lr for another. Data: data/VOCdevkit/{VOC2007,VOC2012}.
# The best checkpoint is of all epochs; the paper's, of the last 30: --cfg-options train_cfg.val_begin=771.
randomness = dict(seed=0)
default_hooks = dict(checkpoint=dict(save_best='pascal_voc/mAP', interval=10))
