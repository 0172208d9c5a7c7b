import hashlib

import numpy as np

from mmadasap.datasets import VOCDataset
from mmadasap.datasets.shapes import CLASSES, SIZE, draw_scene, write_shapes


def test_scenes_are_functions_of_their_index():
    (a, boxes), (b, again), (c, _) = draw_scene(3), draw_scene(3), draw_scene(4)
    assert np.array_equal(a, b) and boxes == again and not np.array_equal(a, c)


def test_boxes_lie_inside_and_have_area():
    for index in range(20):
        image, boxes = draw_scene(index)
        assert image.shape == (SIZE, SIZE, 3) and image.dtype == np.uint8
        for name, (x1, y1, x2, y2) in boxes:
            assert name in CLASSES and 0 <= x1 < x2 < SIZE and 0 <= y1 < y2 < SIZE


def test_the_written_set_reads_back_and_repeats_to_the_byte(tmp_path):
    for name in 'ab':
        write_shapes(str(tmp_path / name), train=4, test=2)
    data = VOCDataset(
        data_root=str(tmp_path / 'a'), ann_file='ImageSets/Main/test.txt', data_prefix=dict(sub_data_root=''),
        metainfo=dict(classes=CLASSES), pipeline=[], test_mode=True)
    info = data.get_data_info(1)
    expected = [list(box) for _, box in draw_scene(5)[1]]
    assert info['img_id'] == '00005' and [i['bbox'] for i in info['instances']] == expected
    assert digest(tmp_path / 'a') == digest(tmp_path / 'b')


def digest(folder):
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob('*') if p.is_file()
    }
