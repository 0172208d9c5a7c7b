"""Detections of several models on several versions of an image, side by side."""
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mmadasap.fileio import replacing

COLORS = ('#e6194b', '#1f77ff', '#2ca02c', '#ff9f1c', '#b15dff', '#00b7c3', '#ffd92f', '#f781bf')


def draw_panels(images: dict[str, np.ndarray], detections: dict[str, dict[str, list]], classes: tuple[str, ...],
                path: str) -> None:
    """Draws a grid, one row a model and one column an image, into a PNG file.

    Args:
        images: Column title -> RGB image, uint8, shape (H, W, 3).
        detections: Row title -> column title -> list of (box (x1, y1, x2, y2) in pixels, label, score).
        classes: Class names by label.
        path: Where the picture goes.
    """
    figure = Figure(figsize=(3 * len(images), 3.2 * len(detections)), layout='constrained')
    grid = figure.subplots(len(detections), len(images), squeeze=False)
    for row, (model, columns) in zip(grid, detections.items()):
        for axes, (title, image) in zip(row, images.items()):
            axes.imshow(image)
            axes.set_title(f'{model}, {title}', fontsize=9)
            axes.axis('off')
            for box, label, score in columns[title]:
                _draw_box(axes, box, f'{classes[label]} {score:.2f}', COLORS[label % len(COLORS)])
    with replacing(path, '.png') as partial:
        figure.savefig(partial, dpi=110, format='png')


def _draw_box(axes, box, text: str, color: str) -> None:
    x1, y1, x2, y2 = box
    axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=color, linewidth=1.3))
    axes.text(x1, y1 - 2, text, fontsize=5.5, color='white', va='bottom',
              bbox=dict(facecolor=color, edgecolor='none', pad=0.6))
