"""Pruning a small ResNet on CIFAR-10 by every method, beside each other: accuracy clean and corrupted, and size.

    python benchmarks/cifar10.py --amp --methods adasap-p taylor-sgd --sizes 50 20

Trains the dense network, prunes it from there by each method to each size (percent of the parameters kept), all through
tools/train.py, tests on corrupted images and prints the table. A killed benchmark goes on where it stopped. The
corruptions have ImageNet-C's severities, so that this is not CIFAR-10-C, whose own are milder.
"""
import argparse
import json
import os.path as osp
import subprocess
import sys

from mmengine.config import Config

from mmadasap.corruption import resolve_corruptions
from mmadasap.engine.launch import adopt_slim_model, load_config, load_network
from mmadasap.evaluation import evaluate_robustness
from mmadasap.fileio import write_json
from mmadasap.latency import describe_machine
from mmadasap.pruning import count_parameters

FOLDER = 'configs/classification/cifar10'
TAIL = '1xb128-20e_cifar10'
EPOCHS = 20
METHODS = ('adasap-p', 'adasap-taylor', 'taylor-sgd', 'magnitude-sgd', 'taylor-sam', 'magnitude-sam', 'magnitude-asam')


def config_path(method: str, size: int = 100) -> str:
    """Config of a method at a size in percent; of the dense network for 'dense'."""
    part = 'dense' if method == 'dense' else f'{method}-params{size}'
    return f'{FOLDER}/resnet18-w16_{part}-{TAIL}.py'


def train(config: str, amp: bool) -> str:
    """Trains through tools/train.py, or goes on; a finished run is left as it is.

    Returns:
        Its last checkpoint.
    """
    checkpoint = osp.join('work_dirs', osp.splitext(osp.basename(config))[0], f'epoch_{EPOCHS}.pth')
    if not osp.exists(checkpoint):
        command = [sys.executable, 'tools/train.py', config, '--resume', *(['--amp'] if amp else [])]
        subprocess.run(command, check=True)
    return checkpoint


def evaluate(config: str, checkpoint: str, corruptions: list[str], severities: list[int], every: int) -> dict:
    """Accuracy on every n-th test image, clean and corrupted, and size."""
    cfg: Config = load_config(config)
    parameters = count_parameters(load_network(cfg, checkpoint))
    adopt_slim_model(cfg, checkpoint)
    cfg.work_dir = osp.dirname(checkpoint)
    cfg.test_dataloader.dataset.indices = list(range(0, 10000, every))
    result = evaluate_robustness(cfg, checkpoint, corruptions, severities, metric='accuracy/top1')
    return result.to_dict() | dict(parameters=parameters, config=config, checkpoint=checkpoint)


def show(models: dict[str, dict]) -> None:
    """The table, accuracies as shares."""
    print(f'{"":24}{"top-1":>8}{"top-1_C":>9}{"R_C":>8}{"params":>10}{"size":>7}')
    for name, row in models.items():
        print(f'{name:24}{row["clean"]:8.3f}{row["mean_corrupted"]:9.3f}{row["relative"]:8.3f}{row["parameters"]:10,}'
              f'{row["parameters"] / models["dense"]["parameters"]:7.2f}')


def main() -> None:
    """Parses, runs what is not done yet, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--methods', nargs='+', choices=METHODS, default=METHODS, help='beside the dense network')
    parser.add_argument('--sizes', nargs='+', type=int, choices=(50, 20), default=(50, 20), help='percent kept')
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    parser.add_argument('--corruptions', nargs='+', default=['paper18'], help='names or subsets')
    parser.add_argument('--severities', nargs='+', type=int, default=[3], help='1 to 5')
    parser.add_argument('--every', type=int, default=1, help='test on every n-th image')
    parser.add_argument('--out', default='benchmarks/results/cifar10.json', help='results as JSON')
    args = parser.parse_args()
    corruptions = resolve_corruptions(args.corruptions)
    tested = dict(corruptions=corruptions, severities=args.severities, every=args.every)
    report = dict(command=' '.join(sys.argv), machine=describe_machine(), data="CIFAR-10 at ImageNet-C's severities",
                  amp=args.amp, epochs=EPOCHS, tested=tested, models={})
    if osp.exists(args.out):
        with open(args.out) as file:
            found = json.load(file)
        report = found if found['tested'] == tested else report
    runs = {'dense': config_path('dense')}
    runs |= {f'{method} {size} %': config_path(method, size) for size in args.sizes for method in args.methods}
    for name, config in runs.items():
        if name not in report['models']:
            print(f'{name} ...', flush=True)
            report['models'][name] = evaluate(config, train(config, args.amp), corruptions, args.severities, args.every)
            write_json(args.out, report)
    show(report['models'])
    print(f'written to {args.out}')


if __name__ == '__main__':
    main()
