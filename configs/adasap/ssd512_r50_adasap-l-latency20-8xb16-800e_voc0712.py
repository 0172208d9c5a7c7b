_base_ = './ssd512_r50_adasap-l-latency40-8xb16-800e_voc0712.py'
# Knobs: 80% of the latency removed.
budget = dict(cost='latency', keep=0.2)
custom_hooks = [dict(_base_.custom_hooks[0], budget=budget), *_base_.custom_hooks[1:]]
