"""Writes corrupted copies of a data set (VOC, COCO, folders of images): OUT/<corruption>/<severity>/ each."""
import argparse
import os
import sys

from mmadasap.corruption import resolve_corruptions
from mmadasap.corruption.build import build
from mmadasap.corruption.settings import Settings
from mmadasap.corruption.verify import verify
from mmadasap.engine.arguments import folder_path, natural
from mmadasap.engine.launch import run_tool
from mmadasap.errors import UserError


def main() -> None:
    """Parses, builds or verifies, lists what could not be used."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('src', help='the data set; it is only read')
    parser.add_argument('--out', type=folder_path, required=True, help='where the copies go')
    parser.add_argument('--corruptions', nargs='+', help='names or subsets (paper18)')
    parser.add_argument('--severities', nargs='+', type=int, help='1 to 5 (3)')
    parser.add_argument('--format', default='png', choices=['jpg', 'png', 'webp'], help='png is exact')
    parser.add_argument('--quality', type=int, default=95, help='of jpg and webp; webp at 100 is exact')
    parser.add_argument('--seed', type=int, default=0, help='another seed gives another draw')
    parser.add_argument('--split', help='VOC: list in ImageSets/Main (test); COCO: annotations/instances_<split>.json '
                        'or <split>.json; folders: one of them')
    parser.add_argument('--workers', type=natural, default=count_cores(), help='processes (all cores)')
    parser.add_argument('--shard', default='1/1', help='i/n: the i-th of n parts, for arrays of jobs')
    parser.add_argument('--limit', type=natural, help='only so many images from the start')
    parser.add_argument('--verify', action='store_true',
                        help='write nothing, check what is there; --corruptions and --severities, if given, must be')
    args = parser.parse_args()
    show = not os.getenv('CI')
    settings = Settings(tuple(resolve_corruptions(args.corruptions or ['paper18'])),
                        tuple(sorted(set(args.severities or [3]))), args.format, args.quality, args.seed, args.split,
                        args.limit)
    if args.verify:
        wanted = settings.cells if args.corruptions or args.severities else ()
        found = verify(args.src, args.out, show, wanted)
        for note in found.notes:
            print(printable(f'Note: {note}'))
        finish(f'{found.files} corrupted images checked', found.problems, 'are not as they should be')
        return
    report = build(args.src, args.out, settings, args.workers, parse_shard(args.shard), show)
    finish(f'{report.images} images, {report.written} files written to {args.out}', report.refused,
           'could not be used and were left out')


def count_cores() -> int:
    """Cores this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def parse_shard(text: str) -> tuple[int, int]:
    """(i, n) of 'i/n'."""
    parts = text.split('/')
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        raise UserError(f'--shard {text!r} must be i/n, e.g. 1/8 to 8/8.')
    return int(parts[0]), int(parts[1])


def finish(line: str, problems: list[tuple[str, str]], what: str) -> None:
    """Prints the outcome; exits with 1 where there were problems."""
    print(printable(line))
    for file, reason in problems:
        print(printable(f'  {file} {reason}'))
    if problems:
        sys.exit(printable(f'Error: {len(problems)} files {what}; they are listed above.'))


def printable(text: str) -> str:
    """Text that any terminal takes, also where file names are no text."""
    return text.encode('utf-8', 'backslashreplace').decode().replace('\n', '\\n')


if __name__ == '__main__':
    run_tool(main)
