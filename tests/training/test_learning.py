import numpy as np
import pytest
import torch

from model.errors import RecipeError
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


def test_the_first_step_is_adams_on_weighted_cross_entropy(trunk: Trunk, recipe: Recipe) -> None:
    """Kingma & Ba 2015: at the first step each weight moves by the rate against its gradient's sign.

    One batch holds everything, so the order of images doesn't matter; classes weigh 1 and 3.
    """
    rng = np.random.default_rng(0)
    features = np.abs(rng.normal(size=(6, 512, 2, 2))).astype(np.float32)
    is_anomaly = np.array([True, False, False, True, False, False])
    weighted = Recipe(**{**recipe.as_dict(), "class_weights": (1.0, 3.0), "pooling": recipe.pooling, "epochs": 1})
    network = fresh_network(trunk, 0, "cpu")
    before = network.dense.weight.detach().clone()

    pooled = network.continued(torch.from_numpy(features), start=4).mean((2, 3))
    error = torch.softmax(network.dense(pooled), 1) - torch.eye(2)[torch.from_numpy(is_anomaly.astype(int))]
    weights = torch.where(torch.from_numpy(is_anomaly), 3.0, 1.0)
    gradient = (error * weights[:, None] / weights.sum()).T @ pooled

    learn(network, features, is_anomaly, np.arange(6), weighted)
    step = (network.dense.weight - before).detach()
    felt = gradient.abs() > 1e-5
    assert felt.float().mean() > 0.5
    assert step[felt].numpy() == pytest.approx(-1e-4 * gradient[felt].sign().detach().numpy(), abs=1e-6)


def test_every_epoch_has_its_own_order(trunk: Trunk, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int]] = []

    class Watched(np.ndarray):  # type: ignore[type-arg]
        def __getitem__(self, key: object) -> object:
            seen.append(np.asarray(key).tolist())
            return np.asarray(self)[key]  # type: ignore[index]

    features = np.ones((10, 512, 2, 2), np.float32).view(Watched)
    learn(fresh_network(trunk, 0, "cpu"), features, np.arange(10) % 2 == 0, np.arange(10), recipe)
    epochs = [seen[0] + seen[1], seen[2] + seen[3]]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(10))
    assert epochs[0] != epochs[1]
    assert list(range(10)) not in epochs


def test_a_loss_that_is_no_number_is_said(trunk: Trunk, recipe: Recipe) -> None:
    features = np.full((4, 512, 2, 2), np.inf, np.float32)
    with pytest.raises(RecipeError, match="diverged in epoch 1"):
        learn(fresh_network(trunk, 0, "cpu"), features, np.arange(4) < 2, np.arange(4), recipe)
