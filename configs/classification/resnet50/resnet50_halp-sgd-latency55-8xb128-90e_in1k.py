# HALP under SGD: 45% of the latency removed (Table 2).
# Its table: tools/build_latency_table.py with the dense config, on the device you ship to.
_base_ = ['./resnet50_dense-8xb128-90e_in1k.py', '../../_base_/pruning/imagenet.py']
custom_hooks = [
    dict(
        _base_.parts.latency,
        budget=dict(cost='latency', keep=0.55),
        latency_table='work_dirs/latency/resnet50_dense-8xb128-90e_in1k.json',
        allocator=dict(solver='halp')),
]
load_from = 'work_dirs/resnet50_dense-8xb128-90e_in1k/epoch_90.pth'
