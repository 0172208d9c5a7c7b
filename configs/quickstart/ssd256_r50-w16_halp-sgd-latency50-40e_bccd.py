_base_ = './ssd256_r50-w16_adasap-l-latency50-40e_bccd.py'
# Knobs: the same budget and epochs with HALP's own allocation and plain SGD.
allocator = dict(solver='halp')

optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=_base_.optim_wrapper.optimizer,
    clip_grad=_base_.optim_wrapper.clip_grad)
custom_hooks = [
    dict(hook, allocator=allocator) if hook['type'] == 'mmadasap.ChannelPruningHook' else hook
    for hook in _base_.custom_hooks if hook['type'] != 'mmadasap.SharpnessPhaseHook'
]
