# The quarter-width SSD (16 base channels instead of 64) for 256-pixel images: trains on a laptop's processor.
_base_ = './ssd512_r50.py'
model = dict(
    backbone=dict(base_channels=16, stem_channels=16, init_cfg=None),
    neck=dict(
        in_channels=(256, ),
        out_channels=(256, 128, 128, 64, 64),
        level_strides=(2, 2, 2, 2),
        level_paddings=(1, 1, 1, 1),
        last_kernel_size=3),
    bbox_head=dict(
        in_channels=(256, 128, 128, 64, 64),
        anchor_generator=dict(
            input_size=256,
            # .06 .13 .25 .40 .60 and .13 .25 .40 .60 .85 of the input.
            min_sizes=[15, 33, 64, 102, 154],
            max_sizes=[33, 64, 102, 154, 218],
            strides=[8, 16, 32, 64, 128],
            ratios=[[2], [2], [2], [2], [2]])))
