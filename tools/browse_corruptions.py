"""Shows an image corrupted, and what detectors see in it: browse_corruptions.py IMAGE [CONFIG CHECKPOINT ...]."""
import argparse
import os.path as osp

from mmadasap.corruption import check_corrupting, resolve_corruptions
from mmadasap.corruption.reading import UnreadableError, read_image
from mmadasap.engine.arguments import folder_path
from mmadasap.engine.checkpoint import check_checkpoint, load_config
from mmadasap.engine.launch import pairs, run_tool
from mmadasap.engine.networks import load_network
from mmadasap.errors import UserError
from mmadasap.evaluation.models import short_names
from mmadasap.hosts import require
from mmadasap.visualization import draw_panels
from mmadasap.visualization.sheet import draw_sheet


def main() -> None:
    """Parses, draws the contact sheet, and detections where models are given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('image', help='image file')
    parser.add_argument('pairs', nargs='*', help='config and checkpoint of detectors, one after the other')
    parser.add_argument('--out', type=folder_path, default='work_dirs/browse',
                        help='folder for corruptions.png and detections.png')
    parser.add_argument('--corruptions', nargs='+', default=['all'], help='rows of the sheet: names or subsets')
    parser.add_argument('--shown', nargs='+', default=['gaussian_noise', 'motion_blur', 'fog', 'jpeg_compression'],
                        help='corruptions that models are shown on')
    parser.add_argument('--severity', type=int, default=3, help='1 to 5, that models are shown on')
    parser.add_argument('--threshold', type=float, default=0.3, help='least score that is drawn')
    args = parser.parse_args()
    models, shown = pairs(args.pairs), resolve_corruptions(args.shown)
    check_corrupting(shown[0], args.severity)
    try:
        image, _ = read_image(args.image)
    except UnreadableError as error:
        raise UserError(f'{args.image!r} {error}; give an image file.') from None
    image_id = osp.basename(args.image)
    path = osp.join(args.out, 'corruptions.png')
    draw_sheet(image, image_id, resolve_corruptions(args.corruptions), range(1, 6), path)
    print(f'written to {path}')
    if models:
        path = osp.join(args.out, 'detections.png')
        draw_detections(image, image_id, models, shown, args.severity, args.threshold, path)
        print(f'written to {path}')


def draw_detections(image, image_id: str, models: list[tuple[str, str]], shown: list[str], severity: int,
                    threshold: float, path: str) -> None:
    """Draws what every model finds in the image, clean and corrupted."""
    require('mmdet', 'Drawing detections')
    from mmadasap.visualization.detections import common_classes, detect_on_image
    for _, checkpoint in models:
        check_checkpoint(checkpoint)
    names = short_names([checkpoint for _, checkpoint in models])
    configs = {name: load_config(config) for name, (config, _) in zip(names, models)}
    classes = common_classes(configs)
    networks = {name: (load_network(configs[name], checkpoint), configs[name])
                for name, (_, checkpoint) in zip(names, models)}
    images, found = detect_on_image(networks, image, image_id, shown, severity, threshold)
    draw_panels(images, found, classes, path)


if __name__ == '__main__':
    run_tool(main)
