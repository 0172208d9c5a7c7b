from dataclasses import dataclass

import pytest

from mmadasap.errors import UserError, check_types


@dataclass
class Record:
    name: str = 'a'
    count: int = 1
    flag: bool = False
    size: tuple[int, int] = (1, 2)
    versions: dict[str, int] = None


@pytest.mark.parametrize('values, message', [
    (dict(name=1), 'name=1 must be of type str'),
    (dict(count=1.0), r'count=1\.0 must be of type int'),
    (dict(count=True), 'count=True must be of type int'),
    (dict(flag=0), 'flag=0 must be of type bool'),
    (dict(size=[1, 2]), r'size=\[1, 2\] must be of type tuple\[int, int\]'),
    (dict(size=(1, 2, 3)), 'size='),
    (dict(size=(1, 'b')), 'size='),
    (dict(versions={1: 1}), r'versions=\{1: 1\} must be of type dict\[str, int\]'),
    (dict(versions={'a': None}), 'versions='),
    ({}, 'versions=None must be'),
])
def test_what_does_not_fit_its_declared_type_is_named(values, message):
    with pytest.raises(UserError, match=message):
        check_types(Record(**dict(versions={}) | values) if values else Record())


def test_what_fits_passes():
    check_types(Record(versions={'a': 1}, flag=True))
