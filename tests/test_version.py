import pytest

import mmadasap  # noqa: F401, the import registers the config package
from mmadasap.version import SUPPORTED, check_version, installed_version, release


@pytest.mark.parametrize('text, numbers', [('0.10.7', (0, 10, 7)), ('2.1.0rc1', (2, 1, 0)), ('3.5.1+cpu', (3, 5, 1))])
def test_release(text, numbers):
    assert release(text) == numbers


@pytest.mark.parametrize('name, version', [('mmengine', '0.9.1'), ('mmcv', '1.7.2'), ('mmdet', '4.0.0')])
def test_a_version_out_of_range_is_refused_with_the_range(name, version):
    low, high = SUPPORTED[name]
    with pytest.raises(ImportError, match=f'supports {name} >= {low}, < {high}, but {version} is installed'):
        check_version(name, version)


@pytest.mark.parametrize('name, version', [('mmengine', '0.10.7'), ('mmengine', '0.10.12'), ('mmcv', '2.1.0'),
                                           ('mmcv', '2.3.6'), ('mmdet', '3.3.0'), ('mmdet', '3.5.1'),
                                           ('mmpretrain', '1.2.0'), ('mmpretrain', '1.3.6')])
def test_upstream_and_forks_are_supported(name, version):
    check_version(name, version)


def test_versions_are_read_without_importing():
    assert installed_version('mmengine') and installed_version('no_such_library') is None
