# AdaSAP_L: 40% of the latency removed (Table 13), widths allocated jointly, then SAM.
# Its table: tools/build_latency_table.py with the dense config, on the device you ship to.
_base_ = ['./mobilenet-v1_dense-8xb128-90e_in1k.py', '../../_base_/pruning/imagenet.py']
optim_wrapper = _base_.parts.adasap
custom_hooks = [
    dict(
        _base_.parts.latency,
        budget=dict(cost='latency', keep=0.60),
        latency_table='work_dirs/latency/mobilenet-v1_dense-8xb128-90e_in1k.json',
        allocator=dict(solver='exact')),
    _base_.parts.then_sam,
]
load_from = 'work_dirs/mobilenet-v1_dense-8xb128-90e_in1k/epoch_90.pth'
