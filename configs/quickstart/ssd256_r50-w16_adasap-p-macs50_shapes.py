_base_ = './ssd256_r50-w16_dense_shapes.py'
# Knobs: 1 epoch of adaptive warm-up, 2 of pruning, 5 of uniform fine-tuning.
rho_min, rho_max, rho_uniform = 0.01, 0.1, 0.05
budget = dict(cost='macs', keep=0.5)
begin, end, interval, max_epochs = 1, 3, 5, 8
load_from = 'work_dirs/quickstart/dense/epoch_14.pth'

optim_wrapper = dict(
    type='mmadasap.AdaSAPOptimWrapper', radius=dict(type='AdaptiveRadius', rho_min=rho_min, rho_max=rho_max))
custom_hooks = [
    dict(type='mmadasap.ChannelsLastHook'),
    dict(
        type='mmadasap.ChannelPruningHook',
        input_size=256,
        budget=budget,
        begin=begin,
        end=end,
        interval=interval,
        importance=dict(type='MagnitudeImportance', normalize='mean')),
    dict(type='mmadasap.SharpnessPhaseHook', radius=dict(type='UniformRadius', rho=rho_uniform)),
]
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        by_epoch=True,
        begin=0,
        end=max_epochs,
        T_max=max_epochs,
        eta_min=1e-4,
        convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
