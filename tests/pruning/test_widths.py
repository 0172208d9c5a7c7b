import torch

from mmadasap.pruning import width_mismatches
from tests.toys import ResidualNet


def test_pruned_and_dense_differ_in_the_layers_that_read_pruned_channels():
    dense, pruned = ResidualNet(inner=6).state_dict(), ResidualNet(inner=4).state_dict()
    assert width_mismatches(dense, pruned) == ['conv2.weight'] == width_mismatches(pruned, dense)


def test_another_number_of_classes_and_other_names_are_no_mismatch():
    dense, other = ResidualNet(classes=3).state_dict(), ResidualNet(classes=7).state_dict()
    assert width_mismatches(dense, other) == []
    assert width_mismatches(dense, {'conv2.weight.old': torch.ones(1)}) == []
