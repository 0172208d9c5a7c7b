import pytest
import torch

from mmadasap.errors import UserError
from mmadasap.sharpness import AdaptiveRadius, UniformRadius, build_radius, radius_range


def rows(*norms):
    """A weight whose rows have these L2 norms."""
    return torch.tensor([[float(n), 0.0] for n in norms])


def radii_of(policy, *layers, grads=None):
    weights = [rows(*layer) for layer in layers]
    return policy(weights, grads or [torch.ones_like(w) for w in weights])


def test_small_scores_get_large_radii_by_hand():
    # Scores 1, 2, 5: (s - 1) / 4 = 0, 1/4, 1, so rho = 0.5 - {0, .25, 1} * 0.4.
    (a, b), rest = radii_of(AdaptiveRadius(0.1, 0.5), [1, 2], [5])
    torch.testing.assert_close(torch.cat([a, b]), torch.tensor([0.5, 0.4, 0.1]))
    torch.testing.assert_close(rest, torch.tensor(1.0 / 3))


def test_layer_scope_takes_the_range_within_each_layer():
    (a, b), _ = radii_of(AdaptiveRadius(0.1, 0.5, score_scope='layer'), [1, 2], [10, 30])
    torch.testing.assert_close(torch.cat([a, b]), torch.tensor([0.5, 0.1, 0.5, 0.1]))


def test_rank_mapping_ignores_distances_and_ties_share_their_mean_rank():
    # Ranks 0, (1 + 2) / 2, 3 of 3.
    (a, ), _ = radii_of(AdaptiveRadius(0.0, 3.0, mapping='rank'), [1, 7, 7, 1000])
    torch.testing.assert_close(a, torch.tensor([3.0, 1.5, 1.5, 0.0]))


@pytest.mark.parametrize('mapping', ['linear', 'rank'])
def test_equal_scores_get_the_middle(mapping):
    (a, ), rest = radii_of(AdaptiveRadius(0.2, 0.6, mapping=mapping), [3, 3, 3])
    torch.testing.assert_close(a, torch.full((3, ), 0.4))
    torch.testing.assert_close(rest, torch.tensor(0.4))


@pytest.mark.parametrize('mapping', ['linear', 'rank'])
@pytest.mark.parametrize('scope', ['model', 'layer'])
def test_pruned_neurons_do_not_count(mapping, scope):
    policy = AdaptiveRadius(0.1, 0.5, mapping=mapping, score_scope=scope)
    (a, ), rest = radii_of(policy, [2, 0, 4, 3, 0])
    (b, ), expected = radii_of(policy, [2, 4, 3])
    torch.testing.assert_close(a[[0, 2, 3]], b)
    torch.testing.assert_close(rest, expected)
    torch.testing.assert_close(a[[1, 4]], expected.expand(2))


def test_taylor_score_is_the_first_order_change_of_the_loss():
    weight, grad = torch.tensor([[1., 2.], [3., 4.]]), torch.tensor([[1., -1.], [2., 0.]])
    # |1 - 2| = 1 and |6| = 6: the first is less important.
    (a, ), _ = AdaptiveRadius(0., 1., score='taylor')([weight], [grad])
    torch.testing.assert_close(a, torch.tensor([1., 0.]))


def test_radii_stay_within_their_bounds():
    torch.manual_seed(0)
    weights = [torch.randn(7, 3), torch.randn(5, 2, 3, 3)]
    for mapping in ('linear', 'rank'):
        found, _ = AdaptiveRadius(0.01, 2.0, mapping=mapping)(weights, weights)
        flat = torch.cat(found)
        assert flat.min() == pytest.approx(0.01) and flat.max() == pytest.approx(2.0)


def test_uniform_radius_is_one_number():
    assert radii_of(UniformRadius(0.05), [1, 2], [3]) == ([0.05, 0.05], 0.05)


def test_build_radius():
    assert build_radius(None) is None
    assert build_radius(dict(type='UniformRadius', rho=0)) == UniformRadius(0)


@pytest.mark.parametrize('cfg, message', [
    (dict(type='UniformRadius', rho=-0.1), 'rho=-0.1'),
    (dict(type='AdaptiveRadius', rho_min=2, rho_max=1), 'rho_min=2 and rho_max=1'),
    (dict(type='AdaptiveRadius', rho_min=-1, rho_max=1), 'rho_min=-1'),
    (dict(type='AdaptiveRadius', rho_min=0, rho_max=1, score='l3'), "score='l3'"),
    (dict(type='AdaptiveRadius', rho_min=0, rho_max=1, score_scope='all'), "score_scope='all'"),
    (dict(type='AdaptiveRadius', rho_min=0, rho_max=1, mapping='log'), "mapping='log'"),
    (dict(type='Radius'), "type='Radius'"),
    (dict(type='UniformRadius', rho=float('nan')), 'rho=nan'),
    (dict(type='UniformRadius'), 'rho'),
])
def test_wrong_arguments_are_refused_by_name(cfg, message):
    with pytest.raises(UserError, match=message.replace('(', r'\(')):
        build_radius(cfg)


def test_range_of_radii_by_hand():
    # Scores 1, 2, 5: radii 0.5, 0.4, 0.1.
    adaptive = radii_of(AdaptiveRadius(0.1, 0.5), [1, 2], [5])
    torch.testing.assert_close(radius_range(adaptive, torch.ones(())), torch.tensor([0.1, 1 / 3, 0.5]))
    uniform = radii_of(UniformRadius(2), [1, 2], [5])
    assert radius_range(uniform, torch.ones(())).tolist() == [2, 2, 2]


@pytest.mark.parametrize('bad, message', [
    (0.05, r"radius=0.05 is no policy; write radius=dict\(type='UniformRadius', rho=0.05\)"),
    (UniformRadius, r"radius=<class .*UniformRadius'> is no policy; write .*rho=\.\.\.\)"),
    (dict(type='UniformRadius', rho=float('inf')), 'rho=inf'),
    (dict(type='UniformRadius', rho=float('nan')), 'rho=nan'),
    (dict(type='AdaptiveRadius', rho_min=0.1, rho_max=float('inf')), 'rho_max=inf'),
])
def test_what_is_no_radius_is_refused(bad, message):
    with pytest.raises(UserError, match=message):
        build_radius(bad)
