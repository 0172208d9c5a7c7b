"""Random multiple-choice knapsacks small enough to try every choice."""
import itertools


def brute_force(values, costs, capacity):
    """Greatest value of any choice within capacity."""
    best = None
    for choice in itertools.product(*(range(len(v)) for v in values)):
        if sum(c[i] for c, i in zip(costs, choice)) <= capacity:
            value = sum(v[i] for v, i in zip(values, choice))
            best = value if best is None else max(best, value)
    return best


def random_instance(generator):
    """1 to 5 groups of 1 to 6 candidates; integers with ties or floats; value and cost alike, opposed or unrelated."""
    sizes = generator.integers(1, 7, generator.integers(1, 6))
    integers = generator.random() < 0.5

    def draw(n):
        return generator.integers(0, 10, n).astype(float) if integers else generator.random(n)

    costs = [draw(n) for n in sizes]
    kind = generator.integers(3)
    values = [(c + 0.1 * draw(len(c)), -c, draw(len(c)))[kind] for c in costs]
    least, most = sum(c.min() for c in costs), sum(c.max() for c in costs)
    return values, costs, least + generator.random() * (most - least)
