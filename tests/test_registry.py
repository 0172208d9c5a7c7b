import pytest
from mmdet.datasets import VOCDataset

from mmadasap.registry import dataset_class, inner_datasets, takes, type_name


class Part:
    """Something a config may build."""


@pytest.mark.parametrize('config, name', [
    (dict(type='Part'), 'Part'), (dict(type='mmadasap.Part', rate=1), 'Part'), (dict(type=Part), 'Part'), ({}, '')])
def test_the_name_of_a_type_however_it_is_given(config, name):
    assert type_name(config) == name


@pytest.mark.parametrize('config', [
    dict(type=VOCDataset), dict(type='mmdet.VOCDataset'), dict(type='VOCDataset', _scope_='mmdet')])
def test_the_class_of_a_data_set_however_it_is_given(config):
    assert dataset_class(config) is VOCDataset


def test_arguments_that_a_class_or_its_bases_name():
    class Base:
        def __init__(self, suffix='', **kwargs):
            pass

    class Derived(Base):
        def __init__(self, other, **kwargs):
            super().__init__(**kwargs)

    assert takes(Derived, 'suffix') and takes(Derived, 'other') and not takes(Base, 'other')


def test_data_sets_inside_wrappers_in_order():
    a, b, c = (dict(type=name) for name in 'abc')
    nested = dict(type='Concat', datasets=[dict(type='Repeat', dataset=a), dict(type='Concat', datasets=[b, c])])
    assert inner_datasets(nested) == [a, b, c] and inner_datasets(a) == [a]
