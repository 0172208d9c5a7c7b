import torch

from tests.toys import make_runner, values

SGD = dict(type='OptimWrapper')


def test_weights_are_channels_last_and_results_differ_by_rounding_alone(tmp_path):
    plain = make_runner(tmp_path / 'plain', SGD).train()
    model = make_runner(tmp_path / 'last', SGD, [dict(type='mmadasap.ChannelsLastHook')]).train()
    weights = [p for p in model.parameters() if p.dim() == 4 and min(p.shape[1:3]) > 1]
    assert weights and all(w.is_contiguous(memory_format=torch.channels_last) for w in weights)
    assert not any(w.is_contiguous() for w in weights)
    for name, value in values(plain).items():
        torch.testing.assert_close(values(model)[name], value, rtol=1e-3, atol=1e-4)
