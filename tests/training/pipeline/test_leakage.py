"""What is held out has no influence: not its labels, not its pixels, not its masks, nor what is made from it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.training.conftest import part_image, prepare_patches, save, tiny_patches
from tests.training.pipeline.conftest import MODES, Mode, Predicted, Prepared, Watched, every_mode, outputs
from training.data.dataset import Dataset
from training.data.masks import Mask
from training.data.samples import Sample
from training.data.splits import Indices, Split
from training.estimators.patches import PreparedPatches
from training.features.imagenet import Trunk


def numbers(words: tuple[Any, ...]) -> list[float]:
    """The same, to be compared roughly."""
    log_odds, thresholds, shift, scale = words
    levels = [scale.good_median, scale.region_threshold] if scale else []
    return [log_odds, thresholds.review, thresholds.label, thresholds.reject, shift, *levels]


# The test part of a fold


@every_mode
def test_labels_of_the_test_part_change_no_word_on_it(
    dataset: Dataset, trunk: Trunk, predicted: Predicted, split: Split, mode: Mode
) -> None:
    samples = list(dataset.samples)
    for i in split.test[:5]:
        samples[i] = replace(samples[i], kind="good" if samples[i].is_anomaly else "spot", mask=None)
    before = predicted(mode)
    after = mode.predict(mode.prepare(replace(dataset, samples=samples), trunk), split)
    assert [p.sample.is_anomaly for p in before] != [p.sample.is_anomaly for p in after]
    assert outputs(before, mode) == outputs(after, mode)


@every_mode
def test_pixels_of_the_test_part_change_no_word_on_its_other_images(
    dataset: Dataset, trunk: Trunk, predicted: Predicted, split: Split, mode: Mode, tmp_path: Path
) -> None:
    samples = list(dataset.samples)
    changed = split.test[::2]
    assert {dataset.samples[i].is_anomaly for i in changed} == {True, False}
    for i in changed:
        other = save(tmp_path / f"{i}.png", Image.effect_noise((48, 48), 90).convert("RGB"))
        samples[i] = replace(samples[i], path=other)
    before = outputs(predicted(mode), mode)
    after = outputs(mode.predict(mode.prepare(replace(dataset, samples=samples), trunk), split), mode)
    names = {dataset.samples[i].name for i in changed}
    assert {name for name in before if before[name] != after[name]} == names


@every_mode
def test_an_unrelated_test_image_changes_no_word_on_the_others(
    dataset: Dataset, trunk: Trunk, predicted: Predicted, split: Split, mode: Mode, tmp_path: Path
) -> None:
    """It comes first, so that every other image has another index."""
    path = save(tmp_path / "new.png", part_image(77, defective=False))
    samples = [Sample(path, "new.png", "good", group="new"), *dataset.samples]
    more = mode.prepare(replace(dataset, samples=samples, digests=["", *dataset.digests]), trunk)
    before = outputs(predicted(mode), mode)
    after = outputs(mode.predict(more, Split(split.train + 1, np.r_[0, split.test + 1])), mode)
    assert after.keys() - before.keys() == {"new.png"}
    # Other images share its batch of features: to rounding, therefore.
    assert all(numbers(after[name]) == pytest.approx(numbers(words), abs=0.02) for name, words in before.items())


@every_mode
def test_the_test_parts_order_changes_nothing(
    prepared: Prepared, predicted: Predicted, split: Split, mode: Mode
) -> None:
    predictions = mode.predict(prepared(mode), Split(split.train, split.test[::-1]))
    assert [p.sample.name for p in predictions] == [
        prepared(mode).training_set.samples[i].name for i in split.test[::-1]
    ]
    before, after = outputs(predicted(mode), mode), outputs(predictions, mode)
    assert all(numbers(after[name]) == pytest.approx(numbers(words), abs=1e-4) for name, words in before.items())


# Who has seen what


@every_mode
def test_no_network_predicts_what_it_has_learnt_from(prepared: Prepared, split: Split, mode: Mode) -> None:
    watched = Watched(prepared(mode))
    mode.predict(watched.estimator, split)
    outside = np.concatenate(watched.learnt)
    assert not np.intersect1d(watched.inner.training_set.source[outside], split.test).size
    assert np.array_equal(watched.predicted[0 if mode is MODES["fine-tuning"] else -1], split.test)
    mode.fit(watched.estimator)


@every_mode
def test_groups_stay_on_one_side_of_every_division(dataset: Dataset, trunk: Trunk, mode: Mode) -> None:
    samples = [replace(sample, group=f"{sample.kind}{i // 2}") for i, sample in enumerate(dataset.samples)]
    mode.fit(Watched(mode.prepare(replace(dataset, samples=samples), trunk)).estimator)


def poisoned(estimator: PreparedPatches, these: Indices) -> PreparedPatches:
    """One that gives no number to whom looks at these images."""
    features, coverage = np.array(estimator.features), estimator.coverage.copy()
    features[these], coverage[these] = np.nan, np.nan
    return replace(estimator, features=features, coverage=coverage)


def test_synthetic_anomalies_leave_real_defects_unseen(dataset: Dataset, trunk: Trunk, split: Split) -> None:
    """Not in training, calibration, thresholds or levels; only the outer test part may hold some, to be predicted."""
    mode = MODES["synthetic"]
    estimator = prepare_patches(dataset, trunk, anomalies="synthetic")
    blind = poisoned(
        estimator, np.flatnonzero(estimator.training_set.is_anomaly & ~estimator.training_set.is_synthetic)
    )
    seeing, unseeing = mode.fit(estimator), mode.fit(blind)
    assert seeing.post_processor == unseeing.post_processor
    assert outputs(seeing.predictions, mode) == outputs(unseeing.predictions, mode)
    assert {p.sample.kind for p in seeing.predictions} == {"good", "synthetic"}
    weights = [pipeline.model.to_network().weights()["dense.weight"] for pipeline in (seeing, unseeing)]
    assert np.array_equal(weights[0], weights[1])
    before, after = (outputs(mode.predict(each, split), mode) for each in (estimator, blind))
    good = [name for name in before if "/good/" in name]
    assert len(good) == 4
    assert [before[name] for name in good] == [after[name] for name in good]
    assert {dataset.samples[i].kind for i in split.test} == {"good", "scratch", "spot"}
    assert len(before) == len(split.test)


def test_synthetic_anomalies_beside_real_ones_are_learnt_from_and_never_predicted(prepared: Prepared) -> None:
    watched = Watched(prepared(MODES["both"]))
    pipeline = MODES["both"].fit(watched.estimator)
    assert not watched.inner.training_set.is_synthetic[np.concatenate(watched.predicted)].any()
    assert all(watched.inner.training_set.is_synthetic[chosen].any() for chosen in watched.learnt)
    assert {p.sample.kind for p in pipeline.predictions} == {"good", "scratch", "spot"}


@pytest.mark.parametrize("anomalies", ["real", "both"])
def test_masks_that_may_not_be_used_have_no_influence(
    dataset: Dataset, trunk: Trunk, split: Split, anomalies: str
) -> None:
    """They aren't even looked at."""
    mode = Mode(tiny_patches(), {"use_masks": False, "anomalies": anomalies})
    nowhere = [replace(s, mask=Mask((48, 48), b"can't be unpacked") if s.is_anomaly else None) for s in dataset.samples]
    without = [replace(s, mask=None) for s in dataset.samples]
    estimators = [mode.prepare(replace(dataset, samples=samples), trunk) for samples in (nowhere, without)]
    first, second = (outputs(mode.predict(estimator, split), mode) for estimator in estimators)
    assert first == second
    first, second = (outputs(mode.fit(estimator).predictions, mode) for estimator in estimators)
    assert first == second


def test_masks_that_may_be_used_have(predicted: Predicted) -> None:
    with_masks, without = (outputs(predicted(MODES[name]), MODES[name]) for name in ("masks", "no masks"))
    assert all(with_masks[name] != without[name] for name in without)
