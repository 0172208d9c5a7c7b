import cv2
import numpy as np
import pytest

from mmadasap.visualization import draw_channels, draw_panels


def test_channels(tmp_path):
    path = tmp_path / 'channels.png'
    draw_channels(dict(a=8, b=16), dict(a=4, b=16), str(path))
    picture = cv2.imread(str(path))
    # Pixels of the bars of what is left; the legend has few, and may lie on a part of one.
    lengths = (abs(picture.astype(int) - (0xb5, 0x6d, 0x2f)).max(2) < 8).sum(1)
    assert lengths.max() > 300 and abs(lengths[lengths > 100] - lengths.max() * 4 / 16).min() <= 3
    assert [p.name for p in tmp_path.iterdir()] == ['channels.png']


def test_panels_show_boxes_where_they_are(tmp_path):
    image, path = np.zeros((60, 80, 3), np.uint8), tmp_path / 'drawn.png'
    draw_panels(dict(clean=image), dict(dense=dict(clean=[([10, 20, 50, 45], 0, 0.9)])), ('cat', ), str(path))
    drawn = cv2.imread(str(path)).astype(int)
    black, red = (drawn.max(2) < 30), (abs(drawn - (0x4b, 0x19, 0xe6)).max(2) < 40)
    (left, *_, right), rows = np.flatnonzero(black.any(0)), np.flatnonzero(black.sum(1) > 100)
    scale = (right - left + 1) / 80
    # Between its upper and its lower edge, away from the label above it.
    sides = np.flatnonzero(red[rows[0] + round(35 * scale)])
    assert [sides[0], sides[-1]] == pytest.approx([left + 10 * scale, left + 50 * scale], abs=3)
    assert np.flatnonzero(red[:, left + round(45 * scale)])[-1] == pytest.approx(rows[0] + 45 * scale, abs=3)
