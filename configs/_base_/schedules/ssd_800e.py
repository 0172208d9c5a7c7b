# 800 epochs for batches of 128 images (lr 8e-3), as SMCP trains its SSD512-ResNet50.
max_epochs = 800
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=8e-3, momentum=0.9, weight_decay=2e-3),
    paramwise_cfg=dict(norm_decay_mult=0.))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=True, begin=0, end=50, convert_to_iter_based=True),
    # Together x3/8 from epoch 600, x1/8 from 700, x1/20 from 740, x1/200 from 770.
    dict(type='MultiStepLR', by_epoch=True, milestones=[600], gamma=3 / 8),
    dict(type='MultiStepLR', by_epoch=True, milestones=[700], gamma=1 / 3),
    dict(type='MultiStepLR', by_epoch=True, milestones=[740], gamma=2 / 5),
    dict(type='MultiStepLR', by_epoch=True, milestones=[770], gamma=1 / 10),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=10, dynamic_intervals=[(770, 1)])
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=128)
