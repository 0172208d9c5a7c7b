import pytest
from claims import CLAIMS, Claim, describe, judge
from tables import RUNS, TABLES

CLAIM = Claim('ours over theirs', '+1', 'ours', 'theirs', 'clean', 'table4', digits=2)
LOWER = Claim('ours under theirs', '-1', 'ours', 'theirs', 'loss_after', 'table9', lower=True)


def numbers(ours, theirs):
    return dict(ours=dict(enumerate(ours)), theirs=dict(enumerate(theirs))).get


def test_three_seeds_decide_where_the_interval_is_on_one_side():
    # Differences 1, 2, 3: mean 2, deviation 1, half an interval 4.303 / sqrt(3) = 2.484.
    verdict, mean, half, count = judge(CLAIM, numbers([2, 4, 6], [1, 2, 3]))
    assert (verdict, mean, count) == ('not decided', 2, 3) and half == pytest.approx(2.484, abs=1e-3)
    # Differences 1.9, 2, 2.1: half an interval 0.2484.
    assert judge(CLAIM, numbers([2.9, 4, 5.1], [1, 2, 3]))[0] == 'holds'
    assert judge(LOWER, numbers([2.9, 4, 5.1], [1, 2, 3]))[0] == 'does not hold'
    assert judge(LOWER, numbers([1, 2, 3], [2.9, 4, 5.1]))[0] == 'holds'


def test_fewer_seeds_decide_nothing():
    assert judge(CLAIM, numbers([9, 9], [1, 1]))[:2] == ('not decided', 8)
    assert judge(CLAIM, numbers([], []))[:2] == ('not decided', None)


def test_only_seeds_of_both_are_compared():
    found = dict(ours={0: 5., 2: 7.}, theirs={1: 100., 2: 4.}).get
    assert judge(CLAIM, found)[1:] == (3., pytest.approx(float('nan'), nan_ok=True), 1)


def test_differences_are_shown_with_their_sign_and_interval():
    assert describe(CLAIM, 0.1234, float('nan')) == '+0.12'
    assert describe(CLAIM, -0.1234, 0.056) == '-0.12 ± 0.06'


def test_claims_are_about_runs_of_their_table_from_one_start():
    assert len({claim.text for claim in CLAIMS}) == len(CLAIMS)
    for claim in CLAIMS:
        names = {name for _, name in TABLES[claim.table].rows}
        assert claim.ours != claim.other and {claim.ours, claim.other} <= names
        assert RUNS[claim.other].reference == RUNS[claim.ours].start
