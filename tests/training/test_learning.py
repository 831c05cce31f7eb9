import numpy as np
import pytest

from training.imagenet import Trunk
from training.learning import fresh_network, learn, predict
from training.recipe import Recipe
from training.trial import Prepared


def trained(data: Prepared, trunk: Trunk, recipe: Recipe) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    network = fresh_network(trunk, recipe.seed, "cpu")
    learn(network, data.features, data.is_anomaly, np.arange(len(data.samples)), recipe)
    return network.weights()


def test_a_seed_repeats_to_the_bit_and_another_does_not(data: Prepared, trunk: Trunk, recipe: Recipe) -> None:
    first, again = trained(data, trunk, recipe), trained(data, trunk, recipe)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    other = trained(data, trunk, Recipe(**{**recipe.as_dict(), "seed": 8, "pooling": recipe.pooling}))
    assert not np.array_equal(first["dense.weight"], other["dense.weight"])


def test_frozen_blocks_keep_imagenets_weights_and_the_others_learn(
    data: Prepared, trunk: Trunk, recipe: Recipe
) -> None:
    weights = trained(data, trunk, recipe)
    for name, before in trunk.items():
        assert np.array_equal(weights[name], before) == (not name.startswith("conv5")), name


def test_training_stops_when_it_is_accurate_enough(data: Prepared, trunk: Trunk, recipe: Recipe) -> None:
    remarks: list[str] = []

    def advance(remark: str = "") -> None:
        remarks.append(remark)

    soon = Recipe(**{**recipe.as_dict(), "stop_at_accuracy": 0.01, "pooling": recipe.pooling})
    learn(fresh_network(trunk, 0, "cpu"), data.features, data.is_anomaly, np.arange(22), soon, advance)
    assert len(remarks) == 1
    assert remarks[0].startswith("epoch 1/2: loss ")


def test_predictions_are_the_whole_networks_maps(data: Prepared, trunk: Trunk, recipe: Recipe) -> None:
    network = fresh_network(trunk, recipe.seed, "cpu")
    indices = np.array([3, 0, 21])
    maps = predict(network, data.features, indices, recipe.frozen_blocks)
    assert maps.shape == (3, 2, 2)
    alone = [predict(network, data.features, indices[i : i + 1], recipe.frozen_blocks)[0] for i in range(3)]
    assert maps == pytest.approx(np.stack(alone), abs=1e-4)
