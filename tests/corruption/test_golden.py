"""Pixels as they were when golden.py last ran: to the bit with the same libraries, within 1 of 255 on any machine."""
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmadasap.corruption.versions import library_versions
from tests.corruption import golden

CPU_AVX2 = 11  # OpenCV's number, which its Python module does not name
ROOT = Path(__file__).parents[2]
GOLDEN = json.loads((golden.HERE / 'golden.json').read_text())
# Old processors: neither library may use its wide instructions.
OLD = dict(OPENCV_CPU_DISABLE='AVX512_SKX,AVX2,AVX,FP16', OPENCV_IPP='disabled',
           NPY_DISABLE_CPU_FEATURES='AVX512F AVX512CD AVX512_SKX AVX2 FMA3')


@pytest.mark.skipif(library_versions() != GOLDEN['versions'], reason='other versions than those of golden.json')
def test_pixels_are_the_golden_ones_within_one():
    sheet = cv2.imread(str(golden.HERE / 'golden.png'))[..., ::-1].reshape(-1, 24, 56, 3)
    for tile, (name, out) in zip(sheet, golden.outputs(3).items()):
        assert abs(out[:24].astype(int) - tile).max() <= 1, name


@pytest.mark.skipif(library_versions() != GOLDEN['versions'], reason='other versions than those of golden.json')
@pytest.mark.skipif(not cv2.checkHardwareSupport(CPU_AVX2), reason='hashes of a processor with AVX2')
def test_hashes_are_the_golden_ones():
    assert golden.hashes() == GOLDEN['hashes']


def shown(**variables):
    done = subprocess.run([sys.executable, golden.__file__, 'show'], check=True, capture_output=True,
                          env=os.environ | dict(PYTHONPATH=str(ROOT)) | variables)
    return np.load(io.BytesIO(done.stdout)).astype(int)


@pytest.mark.slow
def test_other_processors_differ_by_one_at_most():
    here = np.stack([np.stack(list(golden.outputs(s).values())) for s in range(1, 6)]).astype(int)
    assert np.array_equal(shown(), here)
    assert abs(shown(**OLD) - here).max() <= 1
