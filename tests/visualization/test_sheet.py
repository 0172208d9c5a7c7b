import cv2
import numpy as np

from mmadasap.corruption import corrupt
from mmadasap.visualization.sheet import GAP, LINE, MARGIN, draw_sheet


def test_every_version_is_in_its_place(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    draw_sheet(image, 'x', ['fog', 'snow'], [1, 5], str(tmp_path / 'sheet.png'), width=40)
    sheet = cv2.imread(str(tmp_path / 'sheet.png'))[..., ::-1]
    assert sheet.shape == (LINE + 2 * (30 + GAP), MARGIN + 3 * (40 + GAP), 3)
    y, x = LINE + 30 + GAP, MARGIN + 2 * (40 + GAP)
    assert np.array_equal(sheet[y:y + 30, x:x + 40], corrupt(image, 'snow', 5, 'x'))
    assert np.array_equal(sheet[LINE:LINE + 30, MARGIN:MARGIN + 40], image)
