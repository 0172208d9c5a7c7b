# VOC-C as written by: tools/build_corrupted_dataset.py data/VOCdevkit/VOC2007 --out data/VOC2007-C
_base_ = './voc0712.py'
# Knobs; suffix is that of --format.
corruption, severity, suffix = 'fog', 3, '.png'

test_dataloader = dict(
    dataset=dict(
        data_root=f'data/VOC2007-C/{corruption}/{severity}/',
        ann_file='ImageSets/Main/test.txt',
        data_prefix=dict(sub_data_root=''),
        img_suffix=suffix))
