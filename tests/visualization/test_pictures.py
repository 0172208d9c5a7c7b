import cv2
import numpy as np

from mmadasap.visualization import draw_channels, draw_panels


def test_channels(tmp_path):
    path = tmp_path / 'channels.png'
    draw_channels(dict(a=8, b=16), dict(a=4, b=16), str(path))
    picture = cv2.imread(str(path))
    assert picture is not None and picture.std() > 5
    assert [p.name for p in tmp_path.iterdir()] == ['channels.png']


def test_panels_show_boxes_where_they_are(tmp_path):
    image = np.full((60, 80, 3), 255, np.uint8)
    blank, drawn = tmp_path / 'blank.png', tmp_path / 'drawn.png'
    draw_panels(dict(clean=image), dict(dense=dict(clean=[])), ('cat', ), str(blank))
    draw_panels(dict(clean=image), dict(dense=dict(clean=[([10, 20, 50, 45], 0, 0.9)])), ('cat', ), str(drawn))
    a, b = cv2.imread(str(blank)), cv2.imread(str(drawn))
    assert a.shape == b.shape and (a != b).any()
