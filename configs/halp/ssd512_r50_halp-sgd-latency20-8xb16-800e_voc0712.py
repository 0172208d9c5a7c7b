_base_ = './ssd512_r50_halp-sgd-latency40-8xb16-800e_voc0712.py'
# Knobs: 80% of the latency removed.
budget = dict(cost='latency', keep=0.2)
custom_hooks = [dict(hook, budget=budget) for hook in _base_.custom_hooks]
