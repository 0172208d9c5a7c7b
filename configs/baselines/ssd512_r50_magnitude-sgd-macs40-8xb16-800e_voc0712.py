_base_ = '../dense/ssd512_r50_dense-8xb16-800e_voc0712.py'
# Knobs: the pruning of adasap/, under plain SGD.
budget = dict(cost='macs', keep=0.4)
begin, end, interval = 10, 50, 30
load_from = None

custom_hooks = [
    dict(
        type='mmadasap.ChannelPruningHook',
        input_size=512,
        budget=budget,
        begin=begin,
        end=end,
        interval=interval,
        importance=dict(type='MagnitudeImportance', normalize='mean')),
]
