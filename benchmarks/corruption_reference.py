"""imagecorruptions' functions under the random draws that ours used."""
from unittest import mock

import numpy as np
from imagecorruptions import corruptions as theirs

from mmadasap.corruption import noise
from mmadasap.corruption.corrupt import FUNCTIONS


class Recorder:
    """A generator that keeps what it gave."""

    def __init__(self, seed=0):
        self.rng = np.random.Generator(np.random.SFC64(seed))
        self.drawn = []

    def __getattr__(self, method):

        def draw(*args, **kwargs):
            found = getattr(self.rng, method)(*args, **kwargs)
            # A copy: what is drawn is worked on in place.
            self.drawn.append(np.array(found))
            return found

        return draw


class Replay:
    """numpy.random's functions, giving what was drawn, in its order."""

    def __init__(self, drawn, amount=None):
        self.drawn, self.amount = list(drawn), amount

    def _next(self):
        return np.asarray(self.drawn.pop(0), np.float64)

    def normal(self, loc=0.0, scale=1.0, size=None):
        """Normal numbers, of a standard normal draw."""
        return loc + scale * self._next()

    def uniform(self, low=0.0, high=1.0, size=None):
        """Uniform numbers, of a draw from [0, 1)."""
        return low + (high - low) * self._next()

    def randint(self, low, high=None, size=None):
        """Whole numbers as they were drawn."""
        return self.drawn.pop(0)

    def poisson(self, mean):
        """Counts as they were drawn."""
        return self.drawn.pop(0).astype(np.int64)

    def seed(self, seed):
        """Nothing: all is drawn already."""

    def default_rng(self, seed):
        """A generator of salt-and-pepper noise."""
        # Salt and pepper: of what is hit at all, the lower half of our one draw is salt.
        draw = self._next()
        answers = [draw, draw / self.amount]
        return mock.Mock(random=lambda shape: answers.pop(0))


def both(name, image, severity, seed=0):
    """(ours, theirs) under the same draws."""
    rng, counts = Recorder(seed), []

    def poisson(*args, draw=noise.poisson):
        counts.append(draw(*args))
        return counts[-1]

    with mock.patch.object(noise, 'poisson', poisson):
        ours = FUNCTIONS[name](image.copy(), severity, rng)
    drawn = counts or rng.drawn
    if name == 'glass_blur':
        drawn = [pair for offsets in drawn for pair in offsets.reshape(-1, 2).tolist()]
    replay = Replay(drawn, amount=(.03, .06, .09, .17, .27)[severity - 1])
    patches = [mock.patch.object(np.random, key, getattr(replay, key))
               for key in ('normal', 'uniform', 'randint', 'poisson', 'seed', 'default_rng')]
    shuffle = theirs._shuffle_pixels_njit_glass_blur
    patches.append(mock.patch.object(theirs, '_shuffle_pixels_njit_glass_blur', getattr(shuffle, 'py_func', shuffle)))
    for patch in patches:
        patch.start()
    try:
        found = theirs.Image.fromarray(image)
        kwargs = dict(seed=0) if name in ('glass_blur', 'impulse_noise') else {}
        found = np.uint8(getattr(theirs, name)(found, severity, **kwargs))
    finally:
        for patch in patches:
            patch.stop()
    assert not replay.drawn, 'draws were left over'
    return ours, found
