_base_ = '../dense/ssd512_r50_dense-8xb16-800e_voc0712.py'
# Knobs. Starts from the ImageNet backbone; set load_from to a dense detector to start from that instead.
rho_min, rho_max, rho_uniform = 0.01, 0.1, 0.05
budget = dict(cost='macs', keep=0.4)
begin, end, interval = 10, 50, 30
load_from = None

optim_wrapper = dict(
    type='mmadasap.AdaSAPOptimWrapper', radius=dict(type='AdaptiveRadius', rho_min=rho_min, rho_max=rho_max))
custom_hooks = [
    dict(
        type='mmadasap.ChannelPruningHook',
        input_size=512,
        budget=budget,
        begin=begin,
        end=end,
        interval=interval,
        importance=dict(type='MagnitudeImportance', normalize='mean')),
    dict(type='mmadasap.SharpnessPhaseHook', radius=dict(type='UniformRadius', rho=rho_uniform)),
]
