import pytest

from mmadasap.corruption.settings import Settings
from mmadasap.errors import UserError


def test_cells_are_all_pairs():
    assert Settings(('fog', 'snow'), (1, 3)).cells == [('fog', 1), ('fog', 3), ('snow', 1), ('snow', 3)]


@pytest.mark.parametrize('kwargs, message', [
    (dict(severities=(0, )), 'severity=0 is the clean data set'), (dict(severities=(6, )), 'severity=6'),
    (dict(format='gif'), "format='gif' must be one of png, jpg, webp"), (dict(quality=0), 'quality=0'),
    (dict(limit=0), 'limit=0')])
def test_wrong_settings(kwargs, message):
    with pytest.raises(UserError, match=message):
        Settings(('fog', ), **kwargs)
