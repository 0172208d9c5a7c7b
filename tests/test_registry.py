import pytest

from mmadasap.registry import type_name


class Part:
    """Something a config may build."""


@pytest.mark.parametrize('config, name', [
    (dict(type='Part'), 'Part'), (dict(type='mmadasap.Part', rate=1), 'Part'), (dict(type=Part), 'Part'), ({}, '')])
def test_the_name_of_a_type_however_it_is_given(config, name):
    assert type_name(config) == name
