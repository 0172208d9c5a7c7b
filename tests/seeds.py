"""Seeds of random tests: a few at every call, the others in the slow suite."""
import pytest


def seeds(fast: int, count: int) -> list:
    """0 to ``count`` - 1, of which all but the first ``fast`` are marked as slow."""
    return [*range(fast), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(fast, count))]
