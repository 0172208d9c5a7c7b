"""Measures how sharp checkpoints are (Eq. 9): measure_sharpness.py CONFIG CHECKPOINT [CONFIG CHECKPOINT ...]."""
import argparse

from mmadasap.engine.arguments import count, file_path, natural
from mmadasap.engine.checkpoint import load_config
from mmadasap.engine.launch import check_load_from, pairs, run_tool
from mmadasap.evaluation.sharpness import evaluate_sharpness
from mmadasap.fileio import write_json


def main() -> None:
    """Parses, measures every pair, writes JSON and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('pairs', nargs='+', help='config and checkpoint, one after the other')
    parser.add_argument('--rho', type=float, default=0.05, help='radius of the ball around the weights')
    parser.add_argument('--batches', type=natural, default=8, help='batches of the training data')
    parser.add_argument('--steps', type=count, default=5, help='steps of projected ascent after the first')
    parser.add_argument('--out', type=file_path, default='sharpness.json', help='results as JSON')
    args = parser.parse_args()
    results = {}
    for config, checkpoint in pairs(args.pairs):
        cfg = load_config(config)
        cfg.load_from = checkpoint
        check_load_from(cfg)
        results[checkpoint] = evaluate_sharpness(cfg, checkpoint, args.rho, args.batches, args.steps).to_dict()
    write_json(args.out, dict(batches=args.batches, steps=args.steps, models=results))
    print(f'{"loss":>10}{"one step":>10}{"projected":>10}  max over ||eps|| <= {args.rho} of L(w + eps) - L(w)')
    for name, row in results.items():
        print(f'{row["loss"]:10.4f}{row["one_step"]:10.4f}{row["projected"]:10.4f}  {name}')
    print(f'written to {args.out}')


if __name__ == '__main__':
    run_tool(main)
