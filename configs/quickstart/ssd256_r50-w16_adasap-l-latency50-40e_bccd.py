_base_ = './ssd256_r50-w16_adasap-p-macs50-40e_bccd.py'
# Knobs: half of the latency, after tools/build_latency_table.py --channels-last with the dense config.
latency_table = 'work_dirs/latency/ssd256_r50-w16_dense-60e_bccd.json'
budget = dict(cost='latency', keep=0.5)
allocator = dict(solver='exact')
pruning = dict(
    budget=budget,
    latency_table=latency_table,
    allocator=allocator,
    importance=dict(type='TaylorImportance', normalize='none'))

custom_hooks = [
    dict(hook, **pruning) if hook['type'] == 'mmadasap.ChannelPruningHook' else hook for hook in _base_.custom_hooks
]
