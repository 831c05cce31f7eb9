"""What a preset makes of images: their features, what is known of each place, and anomalies made from good ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.errors import RecipeError
from tests.training.conftest import prepare_places, quiet, tiny_places, tiny_published
from training.data.dataset import Dataset
from training.data.masks import coverage
from training.data.samples import kinds_of
from training.estimators.estimator import prepare
from training.estimators.fine_tuning import PublishedLearner
from training.estimators.network import fresh_network
from training.estimators.patches import PatchLearner
from training.features.extraction import squashed
from training.features.imagenet import Trunk


def test_the_published_recipe_keeps_the_frozen_blocks_output(found: Dataset, published: PublishedLearner) -> None:
    network = fresh_network(published.trunk, published.recipe.hypercolumn, 0, "cpu")
    with torch.inference_mode():
        expected = network.frozen(torch.from_numpy(squashed(found.samples, 32, None)), stop=4).numpy()
    assert published.features.shape == (22, 512, 2, 2)
    assert np.allclose(published.features, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert published.material.samples == found.samples


def test_places_keep_every_places_features(found: Dataset, places: PatchLearner) -> None:
    network = fresh_network(places.trunk, places.recipe.hypercolumn, 0, "cpu")
    with torch.inference_mode():
        pixels = torch.from_numpy(squashed(found.samples, 64, None))
        expected = network.columns(network.layers(network.normalised(pixels))).numpy()  # 22×192×8×8
    assert places.columns.shape == (22, 64, 192)
    kept = places.columns.reshape(22, 8, 8, 192).transpose(0, 3, 1, 2)
    assert np.allclose(kept, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_masks_say_which_places_are_defective(found: Dataset, trunk: Trunk, places: PatchLearner) -> None:
    is_anomaly = places.material.is_anomaly
    assert not places.coverage[~is_anomaly].any()
    expected = coverage([sample for sample in found.samples if sample.is_anomaly], 8, 8).reshape(10, 64)
    assert np.array_equal(places.coverage[is_anomaly], expected)
    assert ((places.coverage[is_anomaly] > 0).sum(axis=1) == 4).all()


@pytest.mark.parametrize("use_masks", [True, False])
def test_without_a_mask_nothing_is_known_of_a_defects_places(found: Dataset, trunk: Trunk, use_masks: bool) -> None:
    samples = [replace(sample, mask=None) if i % 2 else sample for i, sample in enumerate(found.samples)]
    learner = prepare_places(replace(found, samples=samples), trunk, use_masks=use_masks)
    unknown = np.isnan(learner.coverage).all(axis=1)
    assert np.array_equal(unknown, np.isnan(learner.coverage).any(axis=1))
    hidden = np.arange(22) % 2 == 1 if use_masks else np.ones(22, bool)
    assert np.array_equal(unknown, learner.material.is_anomaly & hidden)


@pytest.mark.parametrize("anomalies", ["synthetic", "both"])
def test_synthetic_anomalies_come_after_the_real_samples(found: Dataset, trunk: Trunk, anomalies: str) -> None:
    learner = prepare_places(found, trunk, anomalies=anomalies)
    material = learner.material
    assert material.anomalies == anomalies
    assert material.samples[:22] == found.samples
    assert material.real.tolist() == list(range(22))
    assert kinds_of(material.samples[22:]) == {"synthetic": 12}
    assert not material.is_anomaly[material.source[22:]].any()
    assert len(learner.columns) == len(learner.coverage) == 34
    made = learner.coverage[22:]
    assert (made.max(axis=1) > 0).all()
    assert not np.isnan(made).any()
    moved = np.abs(learner.columns[22:] - learner.columns[material.source[22:]]).sum(axis=2)  # 12×64
    assert all(np.corrcoef(places, share)[0, 1] > 0.3 for places, share in zip(moved, made, strict=True))


def test_a_mixture_with_no_real_defect_is_synthetic_alone(trunk: Trunk, found: Dataset) -> None:
    good = [i for i, sample in enumerate(found.samples) if not sample.is_anomaly]
    only_good = replace(found, samples=[found.samples[i] for i in good], digests=[found.digests[i] for i in good])
    assert prepare_places(only_good, trunk, anomalies="both").material.anomalies == "synthetic"


def test_the_published_recipe_takes_real_anomalies_only(found: Dataset, trunk: Trunk) -> None:
    with pytest.raises(RecipeError, match="preset own learns from real anomalies only"):
        prepare(found, trunk, tiny_published(), "cpu", quiet(), anomalies="both")


def test_each_place_is_as_large_as_the_stride_says(found: Dataset, trunk: Trunk) -> None:
    hypercolumn = replace(tiny_places().hypercolumn, stride=16)
    learner = prepare_places(found, trunk, tiny_places(hypercolumn=hypercolumn))
    assert learner.side == 4
    assert learner.columns.shape == (22, 16, 192)
    assert learner.learn(np.arange(22)).maps(np.arange(2)).shape == (2, 4, 4)
