_base_ = '../halp/ssd512_r50_halp-sgd-latency40-8xb16-800e_voc0712.py'
# Knobs: the pruning of halp/, widths allocated jointly (allocator=dict(solver='halp') for HALP's own).
rho_min, rho_max, rho_uniform = 0.01, 0.1, 0.05
budget = dict(cost='latency', keep=0.4)
allocator = dict(solver='exact')

optim_wrapper = dict(
    type='mmadasap.AdaSAPOptimWrapper', radius=dict(type='AdaptiveRadius', rho_min=rho_min, rho_max=rho_max))
custom_hooks = [
    *(dict(hook, budget=budget, allocator=allocator) for hook in _base_.custom_hooks),
    dict(type='mmadasap.SharpnessPhaseHook', radius=dict(type='UniformRadius', rho=rho_uniform)),
]
