import numpy as np
import pytest
from scipy import stats

from mmadasap.corruption.draws import generator, poisson


@pytest.mark.parametrize('peak, value', [(3, 255), (3, 40), (60, 255), (60, 7), (12, 128)])
def test_counts_are_poisson(peak, value):
    counts = poisson(np.random.default_rng(0), np.full(40000, value, np.uint8), peak)
    law = stats.poisson(peak * value / 255)
    expected = np.append(law.pmf(np.arange(peak)), law.sf(peak - 1)) * len(counts)
    found = np.bincount(counts, minlength=peak + 1)
    common = expected > 5
    chi2 = ((found - expected)[common]**2 / expected[common]).sum()
    assert stats.chi2(common.sum()).sf(chi2) > 1e-3 and found[~common].sum() < 60


def test_black_has_no_photons():
    assert not poisson(np.random.default_rng(0), np.zeros((20, 20), np.uint8), 60).any()


def test_the_bits_that_the_table_leaves_open_decide():
    # One uniform draw below and one above the first threshold of mean 3, in the same bin of the table.
    threshold = int(np.floor(np.exp(-3) * 2**32))

    class Fixed:

        def integers(self, low, high, size, dtype):
            return np.array([threshold - 1, threshold], np.uint32)

    assert poisson(Fixed(), np.full(2, 255, np.uint8), 3).tolist() == [0, 1]


def test_every_part_of_the_key_counts():
    keys = [('fog', 1, 'a', 0), ('snow', 1, 'a', 0), ('fog', 2, 'a', 0), ('fog', 1, 'b', 0), ('fog', 1, 'a', 1)]
    assert len({generator(*key).random() for key in keys}) == 5
    assert generator(*keys[0]).random() == generator(*keys[0]).random()
    assert generator('fog', 1, 'na\u00efve \udcff', 0).random() < 1
