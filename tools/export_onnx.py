"""Exports a detector or classifier, dense or slim, to ONNX and checks it against PyTorch on real images."""
import argparse

from mmadasap.engine.arguments import file_path
from mmadasap.engine.checkpoint import load_config
from mmadasap.engine.export import export_onnx, format_export
from mmadasap.engine.launch import run_tool
from mmadasap.fileio import write_json


def main() -> None:
    """Parses, exports, checks, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, dense or slim')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', type=file_path, required=True,
                        help='ONNX file to write; <out>.json beside it holds the measurements')
    parser.add_argument('--nms', action='store_true', help='end a detector with non-maximum suppression')
    parser.add_argument('--input-size', type=int, nargs=2, metavar=('H', 'W'), help='default: that of the images')
    parser.add_argument('--images', nargs='+', help='image files to check on (default: 8 of the test set)')
    parser.add_argument('--evaluate', action='store_true',
                        help='run the test set through ONNX Runtime, a detector with --nms')
    args = parser.parse_args()
    result = export_onnx(load_config(args.config), args.checkpoint, args.out, args.nms, args.input_size,
                         args.images, args.evaluate)
    write_json(f'{args.out}.json', result)
    print(f'{format_export(result)}\nwritten to {args.out} and {args.out}.json')


if __name__ == '__main__':
    run_tool(main)
