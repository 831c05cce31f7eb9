import numpy as np
import torch

from model.hypercolumn import Hypercolumn
from training.estimators.network import fresh_network
from training.features.imagenet import Trunk

SMALL = Hypercolumn((2, 3), 8)


def test_convolutions_are_imagenets(trunk: Trunk) -> None:
    weights = fresh_network(trunk, Hypercolumn(), 0, "cpu").weights()
    assert all(np.array_equal(weights[name], layer) for name, layer in trunk.items())


def test_layers_that_no_patch_reads_are_left_out(trunk: Trunk) -> None:
    weights = fresh_network(trunk, SMALL, 0, "cpu").weights()
    assert {name for name in trunk if name in weights} == {name for name in trunk if name[4] <= "3"}


def test_the_dense_layer_is_drawn_from_the_seed_alone(trunk: Trunk) -> None:
    first = fresh_network(trunk, SMALL, 3, "cpu").weights()
    torch.rand(100)
    again, other = (fresh_network(trunk, SMALL, seed, "cpu").weights() for seed in (3, 4))
    assert np.array_equal(first["dense.weight"], again["dense.weight"])
    assert not np.array_equal(first["dense.weight"], other["dense.weight"])


def test_training_a_network_leaves_the_trunk_alone(trunk: Trunk) -> None:
    before = {name: layer.copy() for name, layer in trunk.items()}
    network = fresh_network(trunk, SMALL, 0, "cpu")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    assert all(np.array_equal(trunk[name], layer) for name, layer in before.items())
