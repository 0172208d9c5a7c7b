_base_ = [
    '../_base_/models/ssd256_r50-w16.py', '../_base_/datasets/voc_layout_256.py', '../_base_/schedules/small_60e.py',
    '../_base_/default_runtime.py'
]
# Knobs: tools/quickstart.py draws the data and sets data_root; with DATA=<folder> it sets the classes too.
data_root = 'work_dirs/quickstart/data/'
metainfo = dict(classes=('disk', 'square', 'star', 'triangle'))
max_epochs = 14

randomness = dict(seed=0)
custom_hooks = [dict(type='mmadasap.ChannelsLastHook')]
model = dict(bbox_head=dict(num_classes=len(metainfo['classes'])))
auto_scale_lr = dict(base_batch_size=8)
train_dataloader = dict(batch_size=8, dataset=dict(data_root=data_root, metainfo=metainfo))
val_dataloader = dict(dataset=dict(data_root=data_root, metainfo=metainfo))
test_dataloader = val_dataloader
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=True, begin=0, end=2, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        by_epoch=True,
        begin=2,
        end=max_epochs,
        T_max=max_epochs - 2,
        eta_min=1e-4,
        convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
