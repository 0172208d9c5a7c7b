_base_ = '../dense/ssd512_r50_dense-8xb16-800e_voc0712.py'
# Knobs: HALP under plain SGD, 60% of the latency removed. Measure the table on the device you ship to:
# tools/build_latency_table.py configs/dense/ssd512_r50_dense-8xb16-800e_voc0712.py
# HALP prunes every 40 iterations; adasap/ does so here, too, for the same schedule on both sides (AdaSAP: every 30).
latency_table = 'work_dirs/latency/ssd512_r50_dense-8xb16-800e_voc0712.json'
budget = dict(cost='latency', keep=0.4)
begin, end, interval = 10, 50, 40
load_from = None

custom_hooks = [
    dict(
        type='mmadasap.ChannelPruningHook',
        input_size=512,
        budget=budget,
        latency_table=latency_table,
        allocator=dict(solver='halp'),
        begin=begin,
        end=end,
        interval=interval,
        importance=dict(type='TaylorImportance', normalize='none')),
]
