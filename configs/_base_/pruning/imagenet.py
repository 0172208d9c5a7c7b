# What the ImageNet configurations are put together from: 10 epochs of warm-up, 1 of pruning (41 steps), 79 of
# fine-tuning. With ASAM the uniform radius is 40 times, the greatest adaptive one 20 times as large as without.
phase = dict(type='mmadasap.ChannelPruningHook', input_size=224, begin=10, end=11, interval=30)
parts = dict(
    sam=dict(type='mmadasap.AdaSAPOptimWrapper', radius=dict(type='UniformRadius', rho=0.05)),
    asam=dict(type='mmadasap.AdaSAPOptimWrapper', asam=True, radius=dict(type='UniformRadius', rho=2.0)),
    adasap=dict(
        type='mmadasap.AdaSAPOptimWrapper', radius=dict(type='AdaptiveRadius', rho_min=0.01, rho_max=0.1)),
    adasap_asam=dict(
        type='mmadasap.AdaSAPOptimWrapper',
        asam=True,
        radius=dict(type='AdaptiveRadius', rho_min=0.01, rho_max=2.0)),
    then_sam=dict(type='mmadasap.SharpnessPhaseHook', radius=dict(type='UniformRadius', rho=0.05)),
    then_asam=dict(type='mmadasap.SharpnessPhaseHook', radius=dict(type='UniformRadius', rho=2.0)),
    magnitude=dict(**phase, importance=dict(type='MagnitudeImportance', normalize='mean')),
    taylor=dict(**phase, importance=dict(type='TaylorImportance', normalize='mean')),
    # HALP's importance; needs budget, latency_table and allocator.
    latency=dict(**phase, importance=dict(type='TaylorImportance', normalize='none')))
