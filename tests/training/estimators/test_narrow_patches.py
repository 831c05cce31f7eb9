"""Regression on a narrow trunk: what is measured is what is exported, and nothing else is seen."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from model.hypercolumn import narrow_widths
from tests.training.conftest import BEST_BALANCED_ACCURACY, prepare, tiny_patches
from training.data.dataset import Dataset
from training.data.splits import Indices, Split
from training.data.training_set import TrainingSet
from training.estimators import narrow_patches as module
from training.estimators.image_head import add_image_head
from training.estimators.narrow_patches import PreparedNarrowPatches
from training.evaluation.post_processing import Method
from training.features.imagenet import Trunk
from training.narrow.images import NarrowingImages, narrowing_images
from training.narrow.targets import TargetCache
from training.progress import no_progress

EVERY = np.arange(22)


@pytest.fixture(scope="module")
def narrow(dataset: Dataset, trunk: Trunk, few_narrowing_images: None) -> PreparedNarrowPatches:
    prepared = prepare(dataset, trunk, tiny_patches(trunk="narrow"))
    assert isinstance(prepared, PreparedNarrowPatches)
    return prepared


def test_it_finds_the_spots_of_images_that_it_has_not_seen(narrow: PreparedNarrowPatches) -> None:
    pooled = narrow.recipe.pooling(narrow.fit(EVERY[::2]).evidence(EVERY[1::2]))
    is_anomaly = narrow.training_set.is_anomaly[1::2]
    assert pooled[is_anomaly].min() > pooled[~is_anomaly].max()


def test_the_network_gives_the_evidence_that_was_measured(narrow: PreparedNarrowPatches) -> None:
    model = narrow.fit(EVERY)
    network = model.to_network(0.5)
    assert network.hypercolumn == replace(narrow.recipe.hypercolumn, trunk=narrow_widths(0.25))
    pixels = np.stack([narrow.inputs.loaders[i]() for i in range(3)])
    with torch.inference_mode():
        maps = network(torch.from_numpy(pixels)).numpy()
    expected = add_image_head(model.evidence(EVERY[:3]), model.image_log_odds(EVERY[:3]), 0.5)
    np.testing.assert_allclose(maps, expected, atol=1e-3 * np.abs(expected).max())


def test_what_is_not_chosen_is_not_seen(narrow: PreparedNarrowPatches) -> None:
    chosen = EVERY[::2]
    loaders, coverage = list(narrow.inputs.loaders), narrow.inputs.coverage.copy()
    for i in np.setdiff1d(EVERY, chosen):
        loaders[i] = lambda: np.zeros((64, 64, 3), np.uint8)
        coverage[i] = 1 - coverage[i]
    inputs = replace(narrow.inputs, loaders=loaders, coverage=coverage)
    poisoned = replace(narrow, inputs=inputs, targets=TargetCache(0))
    blind, model = poisoned.fit(chosen), narrow.fit(chosen)
    assert np.array_equal(blind.patch_model.weights, model.patch_model.weights)
    assert all(np.array_equal(blind.prepared.trunk[name], model.prepared.trunk[name]) for name in model.prepared.trunk)


def test_a_fold_is_predicted_by_a_trunk_of_its_training_part(narrow: PreparedNarrowPatches) -> None:
    heard: list[str] = []

    def advance(remark: str = "") -> None:
        heard.append(remark)

    method = Method(narrow.recipe.pooling, BEST_BALANCED_ACCURACY)
    predictions = narrow.predict_fold(Split(EVERY[::2], EVERY[1::2]), method, advance, 3).predictions
    assert {prediction.fold for prediction in predictions} == {3}
    assert all(prediction.is_correct for prediction in predictions)
    assert len(heard) == narrow.fit_steps * (narrow.recipe.inner_folds + 1)


def test_every_fold_of_fit_has_its_own_trunk(narrow: PreparedNarrowPatches, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []
    real = narrowing_images

    def images(training_set: TrainingSet, loaders: Any, coverage: Any, indices: Indices, seed: int) -> NarrowingImages:
        seen.append({training_set.samples[i].name for i in indices})
        return real(training_set, loaders, coverage, indices, seed)

    monkeypatch.setattr(module, "narrowing_images", images)
    fitted = narrow.cross_val_predict(EVERY, no_progress)
    assert len(seen) == narrow.recipe.inner_folds + 1
    assert len(seen[-1]) == 22
    for fold, known in enumerate(seen[:-1], 1):
        own = {
            s.name for s, f in zip(fitted.out_of_fold.samples, fitted.out_of_fold.fold_ids, strict=True) if f == fold
        }
        assert own
        assert own | known == seen[-1]
        assert not own & known
