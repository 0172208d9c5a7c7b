# VOC-C: the images of VOC 2007 test, corrupted on the fly. voc07_c_stored.py reads the same pixels from files.
_base_ = './voc0712.py'
# Knobs.
corruption, severity = 'fog', 3

test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmadasap.Corrupt', corruption=corruption, severity=severity),
    *_base_.test_pipeline[1:],
]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
