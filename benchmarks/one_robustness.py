"""One checkpoint, one table: corrupted on the fly and from a stored PNG copy, with 1 and with 3 loading processes.

    python benchmarks/one_robustness.py CONFIG CHECKPOINT data/BCCD_Dataset/BCCD --out one_robustness.json
"""
import argparse
import os.path as osp
import tempfile

from mmadasap.corruption import resolve_corruptions
from mmadasap.corruption.build import build
from mmadasap.corruption.settings import Settings
from mmadasap.engine.launch import run_tool
from mmadasap.evaluation.models import evaluate_models
from mmadasap.fileio import write_json

CORRUPTIONS = resolve_corruptions(['paper18'])
SEVERITY = 3
WORKERS = (1, 3)


def evaluate(config: str, checkpoint: str, stored: dict[str, str], folder: str) -> dict[str, dict]:
    """How images come -> the whole result.

    Args:
        config: Config file of the model.
        checkpoint: Its checkpoint.
        stored: How images come -> folder of stored copies, '' for on the fly.
        folder: For logs.
    """
    found = {}
    for source, copies in stored.items():
        for workers in WORKERS:
            name = f'{source}, {workers} processes'
            results, _ = evaluate_models(
                [(config, checkpoint)], CORRUPTIONS, [SEVERITY], osp.join(folder, name), stored=copies or None,
                workers=workers)
            found[name] = next(iter(results.values())).to_dict()
    return found


def main() -> None:
    """Parses, builds the copy, evaluates four times, compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file of the model')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('source', help='the data set its test_dataloader reads')
    parser.add_argument('--split', help='of tools/build_corrupted_dataset.py')
    parser.add_argument('--out', default='one_robustness.json', help='results as JSON')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copies = osp.join(folder, 'copies')
        build(args.source, copies, Settings(tuple(CORRUPTIONS), (SEVERITY, ), split=args.split), workers=max(WORKERS))
        found = evaluate(args.config, args.checkpoint, {'on the fly': '', 'stored': copies}, folder)
    first = next(iter(found.values()))
    identical = all(result == first for result in found.values())
    write_json(args.out, dict(config=args.config, checkpoint=args.checkpoint, identical=identical,
                              corruptions=CORRUPTIONS, severity=SEVERITY, results=found))
    for name, result in found.items():
        print(f'{name:28}' + '  '.join(f'{key} {result[key]:.6f}' for key in ('clean', 'mean_corrupted', 'relative')))
    print(f'every number of them is {"the same" if identical else "NOT the same"}; written to {args.out}')


if __name__ == '__main__':
    run_tool(main)
