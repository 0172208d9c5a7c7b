"""Milliseconds of the 19 corruptions beside imagecorruptions, in one run on one core.

    python benchmarks/corruptions.py --out benchmarks/results/corruptions.json

Ours and theirs take turns on one drawn image; medians. ``difference`` is the largest difference of a pixel (of 255)
between the two under the same random draws, over all five severities, as tests/corruption/test_reference.py checks it.
"""
import argparse
from functools import partial

import cv2
import imagecorruptions
import numpy as np
from corruption_reference import both

from mmadasap.corruption import CORRUPTIONS, corrupt
from mmadasap.fileio import write_json
from mmadasap.latency import describe_machine, interleaved_medians

HEIGHT, WIDTH = 375, 500


def draw_image(height: int, width: int) -> np.ndarray:
    """Smooth colors with texture, edges, black and gray."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (height // 24 + 2, width // 24 + 2, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    image[:, width // 2:] = np.clip(image[:, width // 2:] + rng.normal(0, 12, (height, width - width // 2, 3)), 0, 255)
    image[height // 4:height // 3, width // 4:] = 0
    image[:height // 8, :width // 8] = 128
    return image


def run(severities: list[int], rounds: int) -> dict:
    """Every corruption, the mean over severities of each side's median time."""
    image, small = draw_image(HEIGHT, WIDTH), draw_image(96, 128)
    rows = {}
    for name in CORRUPTIONS:
        calls = {}
        for s in severities:
            calls[f'ours {s}'] = partial(corrupt, image, name, s, 'a')
            calls[f'theirs {s}'] = partial(imagecorruptions.corrupt, image, s, name)
        times = interleaved_medians(calls, rounds, warmup=2)
        ours, theirs = (np.mean([times[f'{side} {s}'] for s in severities]) for side in ('ours', 'theirs'))
        pairs = [both(name, small, s) for s in range(1, 6)]
        difference = max(int(abs(a.astype(int) - b).max()) for a, b in pairs)
        share = float(np.mean([(a != b).mean() for a, b in pairs]))
        rows[name] = dict(ours_ms=float(ours), theirs_ms=float(theirs), difference=difference, share_different=share)
        print(f'{name:20}{ours:8.1f}{theirs:8.1f}{theirs / ours:7.1f}x  differ by {difference}, {100 * share:.2f} %',
              flush=True)
    return rows


def main() -> None:
    """Parses, times, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--severities', type=int, nargs='+', default=[1, 2, 3, 4, 5], help='times are their mean')
    parser.add_argument('--rounds', type=int, default=7, help='measurements of each')
    parser.add_argument('--out', default='benchmarks/results/corruptions.json', help='results as JSON')
    args = parser.parse_args()
    cv2.setNumThreads(1)
    print(f'{"":20}{"ours":>8}{"theirs":>8}   ms, image of {WIDTH}x{HEIGHT}, severities {args.severities}')
    rows = run(args.severities, args.rounds)
    total = {side: sum(row[f'{side}_ms'] for row in rows.values()) for side in ('ours', 'theirs')}
    print(f'{"all 19":20}{total["ours"]:8.1f}{total["theirs"]:8.1f}{total["theirs"] / total["ours"]:7.1f}x')
    write_json(args.out, dict(machine=describe_machine('cpu') | dict(threads=1, opencv=cv2.__version__,
                                                                numpy=np.__version__),
                              image=[HEIGHT, WIDTH], severities=args.severities, total_ms=total, corruptions=rows))
    print(f'written to {args.out}')


if __name__ == '__main__':
    main()
