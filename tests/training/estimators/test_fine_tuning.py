"""Fine-tuning as published: Adam on weighted cross-entropy, behind frozen blocks, on the chosen samples alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from model.errors import RecipeError
from tests.training.conftest import network_inputs, tiny_fine_tuning
from training.data.dataset import Dataset
from training.estimators.fine_tuning import PreparedFineTuning
from training.estimators.network import fresh_network

Array = np.ndarray
EVERY = np.arange(22)


@pytest.fixture(scope="module")
def weights(fine_tuning: PreparedFineTuning) -> dict[str, Array]:
    return fine_tuning.fit(EVERY).to_network().weights()


def bare(fine_tuning: PreparedFineTuning, features: Array, is_anomaly: Array, **changes: object) -> PreparedFineTuning:
    """A prepared of these features, under these labels."""
    good, bad = (
        next(sample for sample in fine_tuning.training_set.samples if sample.is_anomaly == wanted)
        for wanted in (False, True)
    )
    training_set = replace(fine_tuning.training_set, samples=[bad if label else good for label in is_anomaly])
    return replace(fine_tuning, training_set=training_set, features=features, recipe=tiny_fine_tuning(**changes))


def test_a_seed_repeats_to_the_bit_and_another_does_not(
    fine_tuning: PreparedFineTuning, weights: dict[str, Array]
) -> None:
    again = fine_tuning.fit(EVERY).to_network().weights()
    assert all(np.array_equal(weights[name], again[name]) for name in weights)
    other = replace(fine_tuning, recipe=tiny_fine_tuning(seed=8)).fit(EVERY).to_network().weights()
    assert not np.array_equal(weights["dense.weight"], other["dense.weight"])


def test_frozen_blocks_keep_imagenets_weights_and_the_others_learn(
    fine_tuning: PreparedFineTuning, weights: dict[str, Array]
) -> None:
    for name, before in fine_tuning.trunk.items():
        assert np.array_equal(weights[name], before) == (not name.startswith("conv5")), name


def test_what_is_not_chosen_is_not_seen(fine_tuning: PreparedFineTuning) -> None:
    chosen = EVERY[::2]
    features = np.array(fine_tuning.features)
    features[1::2] = np.nan
    poisoned, clean = replace(fine_tuning, features=features).fit(chosen), fine_tuning.fit(chosen)
    assert np.array_equal(poisoned.to_network().weights()["dense.weight"], clean.to_network().weights()["dense.weight"])


def test_training_stops_when_it_is_accurate_enough(fine_tuning: PreparedFineTuning) -> None:
    remarks: list[str] = []

    def advance(remark: str = "") -> None:
        remarks.append(remark)

    replace(fine_tuning, recipe=tiny_fine_tuning(stop_at_accuracy=0.01)).fit(EVERY, advance)
    assert len(remarks) == 1
    assert remarks[0].startswith("epoch 1/2: loss ")
    assert fine_tuning.fit_steps == 2


def test_an_image_has_the_same_map_alone_and_among_others(fine_tuning: PreparedFineTuning) -> None:
    model = fine_tuning.fit(EVERY)
    indices = np.array([3, 0, 21])
    maps = model.evidence(indices)
    assert maps.shape == (3, 2, 2)
    alone = [model.evidence(indices[i : i + 1])[0] for i in range(3)]
    assert maps == pytest.approx(np.stack(alone), abs=1e-4)


def test_the_exported_network_has_the_maps_that_were_measured(
    dataset: Dataset, fine_tuning: PreparedFineTuning
) -> None:
    model = fine_tuning.fit(EVERY)
    pixels = torch.from_numpy(network_inputs(dataset, 32))
    with torch.inference_mode():
        served = model.to_network()(pixels).numpy()
    assert np.abs(served).max() > 0.1
    assert served == pytest.approx(model.evidence(EVERY), abs=1e-3)


def test_the_first_step_is_adams_on_weighted_cross_entropy(fine_tuning: PreparedFineTuning) -> None:
    """Kingma & Ba 2015: at the first step each weight moves by the rate against its gradient's sign.

    One batch holds everything, so the order of images doesn't matter; classes weigh 1 and 3.
    """
    rng = np.random.default_rng(0)
    features = np.abs(rng.normal(size=(6, 512, 2, 2))).astype(np.float32)
    is_anomaly = np.array([True, False, False, True, False, False])
    prepared = bare(fine_tuning, features, is_anomaly, class_weights=(1.0, 3.0), epochs=1)
    network = fresh_network(fine_tuning.trunk, prepared.recipe.hypercolumn, prepared.recipe.seed, "cpu")
    before = network.dense.weight.detach().clone()
    pooled = network.layers(torch.from_numpy(features), start=4)[-1].mean((2, 3))
    error = torch.softmax(network.dense(pooled), 1) - torch.eye(2)[torch.from_numpy(is_anomaly.astype(int))]
    weights = torch.where(torch.from_numpy(is_anomaly), 3.0, 1.0)
    gradient = (error * weights[:, None] / weights.sum()).T @ pooled

    step = prepared.fit(np.arange(6)).to_network().dense.weight.detach() - before
    felt = gradient.abs() > 1e-5
    assert felt.float().mean() > 0.5
    assert step[felt].numpy() == pytest.approx(-1e-4 * gradient[felt].sign().detach().numpy(), abs=1e-6)


def test_every_epoch_has_its_own_order(fine_tuning: PreparedFineTuning) -> None:
    seen: list[list[int]] = []

    class Watched(np.ndarray):
        def __getitem__(self, key: Any) -> Any:
            seen.append(np.asarray(key).tolist())
            return np.asarray(self)[key]

    features = np.ones((10, 512, 2, 2), np.float32).view(Watched)
    bare(fine_tuning, features, np.arange(10) % 2 == 0).fit(np.arange(10))
    epochs = [seen[0] + seen[1], seen[2] + seen[3]]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(10))
    assert epochs[0] != epochs[1]
    assert list(range(10)) not in epochs


def test_a_loss_that_is_no_number_is_said(fine_tuning: PreparedFineTuning) -> None:
    features = np.full((4, 512, 2, 2), np.inf, np.float32)
    with pytest.raises(RecipeError, match=r"diverged in epoch 1: its loss is nan; lower learning_rate"):
        bare(fine_tuning, features, np.arange(4) < 2).fit(np.arange(4))
