"""Writes what the 19 corruptions make of one small image: golden.py writes golden.png and golden.json beside itself.

Run it only when a change of pixels is meant; the versions it ran with are part of what it writes.
"""
import hashlib
import json
import sys
from pathlib import Path

import cv2
import numpy as np

from mmadasap.corruption import CORRUPTIONS, corrupt
from mmadasap.corruption.versions import library_versions

HERE = Path(__file__).parent


def image():
    """Edges, a ramp and flat black and gray, of whole numbers alone."""
    y, x, c = np.indices((40, 56, 3))
    out = (7 * x + 3 * y + 40 * c) % 256
    out[8:16, :20] = 0
    out[20:30, 10:40] = 128
    out[:, 44:48] = 255 - 60 * c[:, 44:48]
    return out.astype(np.uint8)


def outputs(severity):
    return {name: corrupt(image(), name, severity, 'golden', seed=1) for name in CORRUPTIONS}


def digest(array):
    return hashlib.sha256(array.tobytes()).hexdigest()[:16]


def hashes():
    return {name: [digest(outputs(s)[name]) for s in range(1, 6)] for name in CORRUPTIONS}


if __name__ == '__main__':
    if sys.argv[1:] == ['show']:
        np.save(sys.stdout.buffer, np.stack([np.stack(list(outputs(s).values())) for s in range(1, 6)]))
    else:
        cv2.imwrite(str(HERE / 'golden.png'), np.concatenate([o[:24] for o in outputs(3).values()])[..., ::-1])
        content = dict(versions=library_versions(), hashes=hashes())
        (HERE / 'golden.json').write_text(json.dumps(content, indent=1) + '\n')
