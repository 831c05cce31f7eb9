"""Prepared estimators: images' features, what is known of each patch, and anomalies made from good ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.errors import RecipeError
from tests.training.conftest import (
    even_features,
    network_inputs,
    prepare,
    prepare_patches,
    tiny_fine_tuning,
    tiny_patches,
)
from training.data.dataset import Dataset
from training.data.masks import coverage
from training.data.samples import kinds_of
from training.estimators.fine_tuning import PreparedFineTuning
from training.estimators.network import fresh_network
from training.estimators.patches import PreparedPatches
from training.features.imagenet import Trunk


def test_fine_tuning_keeps_the_frozen_blocks_output(dataset: Dataset, fine_tuning: PreparedFineTuning) -> None:
    network = fresh_network(fine_tuning.trunk, fine_tuning.recipe.hypercolumn, 0, "cpu")
    with torch.inference_mode():
        expected = network.frozen(torch.from_numpy(network_inputs(dataset, 32)), stop=4).numpy()
    assert fine_tuning.features.shape == (22, 512, 2, 2)
    assert np.allclose(fine_tuning.features, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert fine_tuning.training_set.samples == dataset.samples


def test_patches_keep_every_patchs_features(dataset: Dataset, patches: PreparedPatches) -> None:
    network = fresh_network(patches.trunk, patches.recipe.hypercolumn, 0, "cpu")
    with torch.inference_mode():
        pixels = torch.from_numpy(network_inputs(dataset, 64))
        expected = network.columns(network.layers(network.normalised(pixels))).numpy()  # 22×192×8×8
    assert even_features(patches).shape == (22, 64, 192)
    kept = even_features(patches).reshape(22, 8, 8, 192).transpose(0, 3, 1, 2)
    assert np.allclose(kept, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_masks_say_which_patches_are_defective(dataset: Dataset, trunk: Trunk, patches: PreparedPatches) -> None:
    is_anomaly = patches.training_set.is_anomaly
    assert not patches.coverage[~is_anomaly].any()
    expected = coverage([sample for sample in dataset.samples if sample.is_anomaly], 8, 8).reshape(10, 64)
    assert np.array_equal(patches.coverage[is_anomaly], expected)
    assert ((patches.coverage[is_anomaly] > 0).sum(axis=1) == 4).all()


@pytest.mark.parametrize("use_masks", [True, False])
def test_without_a_mask_nothing_is_known_of_a_defects_patches(dataset: Dataset, trunk: Trunk, use_masks: bool) -> None:
    samples = [replace(sample, mask=None) if i % 2 else sample for i, sample in enumerate(dataset.samples)]
    prepared = prepare_patches(replace(dataset, samples=samples), trunk, use_masks=use_masks)
    unknown = np.isnan(prepared.coverage).all(axis=1)
    assert np.array_equal(unknown, np.isnan(prepared.coverage).any(axis=1))
    hidden = np.arange(22) % 2 == 1 if use_masks else np.ones(22, bool)
    assert np.array_equal(unknown, prepared.training_set.is_anomaly & hidden)


@pytest.mark.parametrize("anomalies", ["synthetic", "both"])
def test_synthetic_anomalies_come_after_the_real_samples(dataset: Dataset, trunk: Trunk, anomalies: str) -> None:
    prepared = prepare_patches(dataset, trunk, anomalies=anomalies)
    training_set = prepared.training_set
    assert training_set.anomalies == anomalies
    assert training_set.samples[:22] == dataset.samples
    assert training_set.real.tolist() == list(range(22))
    assert kinds_of(training_set.samples[22:]) == {"synthetic": 12}
    assert not training_set.is_anomaly[training_set.source[22:]].any()
    assert len(even_features(prepared)) == len(prepared.coverage) == 34
    made = prepared.coverage[22:]
    assert (made.max(axis=1) > 0).all()
    assert not np.isnan(made).any()
    moved = np.abs(even_features(prepared)[22:] - even_features(prepared)[training_set.source[22:]]).sum(
        axis=2
    )  # 12×64
    assert all(np.corrcoef(patches, share)[0, 1] > 0.3 for patches, share in zip(moved, made, strict=True))


def test_a_mixture_with_no_real_defect_is_synthetic_alone(trunk: Trunk, dataset: Dataset) -> None:
    good = [i for i, sample in enumerate(dataset.samples) if not sample.is_anomaly]
    only_good = replace(dataset, samples=[dataset.samples[i] for i in good], digests=[dataset.digests[i] for i in good])
    assert prepare_patches(only_good, trunk, anomalies="both").training_set.anomalies == "synthetic"


def test_fine_tuning_takes_real_anomalies_only(dataset: Dataset, trunk: Trunk) -> None:
    with pytest.raises(RecipeError, match="preset own learns from real anomalies only"):
        prepare(dataset, trunk, tiny_fine_tuning(), anomalies="both")


def test_each_patch_is_as_large_as_the_stride_says(dataset: Dataset, trunk: Trunk) -> None:
    hypercolumn = replace(tiny_patches().hypercolumn, stride=16)
    prepared = prepare_patches(dataset, trunk, tiny_patches(hypercolumn=hypercolumn))
    assert prepared.grids == [(4, 4)] * 22
    assert even_features(prepared).shape == (22, 16, 192)
    assert prepared.fit(np.arange(22)).evidence(np.arange(2)).shape == (2, 4, 4)
