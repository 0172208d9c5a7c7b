"""A checkpoint to give to others."""
import hashlib
import io
import os.path as osp

import torch

from mmadasap.engine.checkpoint import read_checkpoint
from mmadasap.engine.plain_checkpoint import to_plain
from mmadasap.fileio import replacing

# Weights, what builds the network around them, and how wide a pruned one is.
KEPT = ('meta', 'state_dict', 'channel_pruning')


def publish(checkpoint: str, out: str) -> str:
    """Writes the weights of a checkpoint (the averaged ones, if it holds both) and its config, nothing else.

    Args:
        checkpoint: Path or address of a checkpoint.
        out: Path to write; the first 8 digits of the file's SHA-256 are added to its name.

    Returns:
        The path written; ``torch.load(weights_only=True)`` reads it.
    """
    loaded = read_checkpoint(checkpoint)
    # Files from elsewhere may be weights alone.
    kept = {key: loaded[key] for key in KEPT if key in loaded} if 'state_dict' in loaded else dict(state_dict=loaded)
    if 'channel_pruning' in kept:
        kept['channel_pruning'] = dict(kept['channel_pruning'], masks=None)
    kept['meta'] = to_plain(kept.get('meta', {}))
    buffer = io.BytesIO()
    torch.save(kept, buffer)
    stem, suffix = osp.splitext(out)
    path = f'{stem}-{hashlib.sha256(buffer.getvalue()).hexdigest()[:8]}{suffix}'
    with replacing(path, suffix) as partial, open(partial, 'wb') as file:
        file.write(buffer.getvalue())
    return path
