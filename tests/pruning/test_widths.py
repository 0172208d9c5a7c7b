import torch
from torch import nn

from mmadasap.pruning import width_mismatches
from tests.toys import ResidualNet


def test_pruned_and_dense_differ_in_the_layers_that_read_pruned_channels():
    dense, pruned = ResidualNet(inner=6), ResidualNet(inner=4)
    assert width_mismatches(dense, pruned.state_dict()) == ['conv2.weight']
    assert width_mismatches(pruned, dense.state_dict()) == ['conv2.weight']


def test_classes_other_names_and_tables_are_no_mismatch():
    assert width_mismatches(ResidualNet(classes=3), ResidualNet(classes=7).state_dict()) == []
    assert width_mismatches(ResidualNet(), {'conv2.weight.old': torch.ones(1)}) == []
    assert width_mismatches(nn.Embedding(3, 4), {'weight': torch.ones(3, 5)}) == []
