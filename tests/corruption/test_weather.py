import numpy as np

from mmadasap.corruption import corrupt, weather


def test_photographs_of_frost_for_large_images_are_not_kept():
    weather._magnified.cache_clear()
    for i in range(12):
        corrupt(np.zeros((16, 4000, 3), np.uint8), 'frost', 3, f'{i}')
    assert weather._magnified.cache_info().currsize == 0
    for i in range(12):
        corrupt(np.zeros((60 + i, 80, 3), np.uint8), 'frost', 3, f'{i}')
    # Small images share them, whatever their size.
    assert 0 < weather._magnified.cache_info().currsize <= 6


def test_kept_photographs_of_frost_change_no_pixel(monkeypatch):
    image = np.random.default_rng(0).integers(0, 255, (400, 300, 3), dtype=np.uint8)
    kept = [corrupt(image, 'frost', 3, f'{i}') for i in range(6)]
    monkeypatch.setattr(weather, 'KEPT_PIXELS', 0)
    assert all(np.array_equal(corrupt(image, 'frost', 3, f'{i}'), one) for i, one in enumerate(kept))
