"""No half-loaded networks: hosts leave weights that do not fit out with a log line."""
import re
from collections import OrderedDict

from torch import nn

from mmadasap.engine.checkpoint import SHOWN
from mmadasap.errors import UserError


def check_whole(model: nn.Module, checkpoint: dict) -> None:
    """Loads a checkpoint's weights, and refuses one that would leave a part of ``model`` without.

    Raises:
        UserError: Naming the first few tensors that are missing or of another shape.
    """
    weights = checkpoint.get('state_dict', checkpoint)
    state = OrderedDict((key.removeprefix('module.'), value) for key, value in weights.items())
    # Models rename entries of files from elsewhere by their versions.
    state._metadata = getattr(weights, '_metadata', {})
    try:
        missing = model.load_state_dict(state, strict=False).missing_keys
        # What the model itself makes anew it takes out of its own copy.
        wrong = [f'{name} is missing' for name in missing
                 if name not in state and not name.endswith('num_batches_tracked')]
    except RuntimeError as error:
        wrong = _mismatches(str(error))
    if wrong:
        raise UserError(f'The checkpoint does not fit the model ({len(wrong)} weights: {", ".join(wrong[:SHOWN])}); '
                        'use the config it was trained with.')


def _mismatches(text: str) -> list[str]:
    """What torch says of weights of other shapes, one by one."""
    shape = r'torch\.Size\(\[([\d, ]*)\]\)'
    found = re.findall(rf'size mismatch for (\S+): .*?{shape}.*?{shape}', text)
    return [f'{name} is {_shape(theirs)} in the checkpoint and {_shape(ours)} in the model'
            for name, theirs, ours in found] or [text.partition('\n')[2].strip() or text]


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split(', ') if size)
