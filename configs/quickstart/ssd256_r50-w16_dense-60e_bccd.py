_base_ = [
    '../_base_/models/ssd256_r50-w16.py', '../_base_/datasets/voc_layout_256.py', '../_base_/schedules/small_60e.py',
    '../_base_/default_runtime.py'
]
# Knobs: git clone https://github.com/Shenggan/BCCD_Dataset data/BCCD_Dataset
data_root = 'data/BCCD_Dataset/BCCD/'
metainfo = dict(classes=('RBC', 'WBC', 'Platelets'), palette=[(220, 20, 60), (106, 0, 228), (0, 165, 120)])

randomness = dict(seed=0)
custom_hooks = [dict(type='mmadasap.ChannelsLastHook')]
model = dict(bbox_head=dict(num_classes=3))
# Blood cells have no upright, and a microscope no zoom: all flips, no crops.
train_pipeline = [
    dict(type='RandomFlip', prob=[0.25] * 3, direction=['horizontal', 'vertical', 'diagonal'])
    if step['type'] == 'RandomFlip' else step for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(data_root=data_root, metainfo=metainfo, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root, metainfo=metainfo))
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(interval=10))
