# What the CIFAR-10 configurations are put together from: 3 epochs of warm-up, 2 of pruning, 15 of fine-tuning.
phase = dict(type='mmadasap.ChannelPruningHook', input_size=32, begin=3, end=5, interval=30)
parts = dict(
    sam=dict(type='mmadasap.AdaSAPOptimWrapper', radius=dict(type='UniformRadius', rho=0.05)),
    # ASAM's own radius for CIFAR-10 (arXiv 2102.11600).
    asam=dict(type='mmadasap.AdaSAPOptimWrapper', asam=True, radius=dict(type='UniformRadius', rho=0.5)),
    adasap=dict(
        type='mmadasap.AdaSAPOptimWrapper', radius=dict(type='AdaptiveRadius', rho_min=0.01, rho_max=0.1)),
    then_sam=dict(type='mmadasap.SharpnessPhaseHook', radius=dict(type='UniformRadius', rho=0.05)),
    magnitude=dict(**phase, importance=dict(type='MagnitudeImportance', normalize='mean')),
    taylor=dict(**phase, importance=dict(type='TaylorImportance', normalize='mean')),
    # HALP's importance; needs budget, latency_table and allocator.
    latency=dict(**phase, importance=dict(type='TaylorImportance', normalize='none')))
