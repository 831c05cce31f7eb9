"""Regression of patches: what it learns from, what it adds round by round, and that nothing else is seen."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training.conftest import even_features, network_inputs, prepare_patches, tiny_patches
from training.data.dataset import Dataset
from training.estimators import patches as module
from training.estimators.estimator import predict
from training.estimators.image_head import HeadWeights, add_image_head
from training.estimators.logistic import LinearModel, fit_logistic
from training.estimators.patches import PreparedPatches
from training.evaluation.post_processing import Method, fit_post_processor
from training.evaluation.thresholds import BestBalancedAccuracy
from training.features.imagenet import Trunk

Array = np.ndarray
EVERY = np.arange(22)
GOOD, BAD = np.r_[0:6, 16:22], np.r_[6:16]
"""test/good, test/scratch and test/spot, train/good: sorted by name."""


@pytest.fixture(scope="module")
def unmasked(dataset: Dataset, trunk: Trunk) -> PreparedPatches:
    return prepare_patches(dataset, trunk, use_masks=False)


@dataclass
class Fits:
    """What each round's regression was given, and the model that came of it."""

    features: list[Array] = field(default_factory=list)
    targets: list[Array] = field(default_factory=list)
    models: list[LinearModel] = field(default_factory=list)

    def __call__(
        self, features: Tensor, targets: Tensor, penalty: float, *, start: LinearModel | None = None, **options: int
    ) -> LinearModel:
        assert start is (self.models[-1] if self.models else None)
        self.features.append(features.numpy().copy())
        self.targets.append(targets.numpy().copy())
        self.models.append(fit_logistic(features, targets, penalty, start=start, **options))
        return self.models[-1]


def fits_of(prepared: PreparedPatches) -> Fits:
    seen = Fits()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "fit_logistic", seen)
        prepared.fit(EVERY)
    return seen


def after(prepared: PreparedPatches, rounds: int) -> LinearModel:
    """The model, for features as they are, after so many rounds."""
    return replace(prepared, recipe=tiny_patches(mining_rounds=rounds)).fit(EVERY).patch_model


def patch_of(scores: Array, wanted: float) -> int:
    """Which of the patches has that score under the same model, written for standardised features."""
    nearest = int(np.abs(scores - wanted).argmin())
    assert scores[nearest] == pytest.approx(wanted, abs=5e-3)
    return nearest


# What it learns


@pytest.mark.parametrize("use_masks", [True, False])
def test_it_finds_the_spots_of_images_that_it_has_not_seen(
    patches: PreparedPatches, unmasked: PreparedPatches, use_masks: bool
) -> None:
    prepared = patches if use_masks else unmasked
    maps = prepared.fit(EVERY[::2]).evidence(EVERY[1::2])
    pooled = prepared.recipe.pooling(maps)
    is_anomaly = prepared.training_set.is_anomaly[1::2]
    assert pooled[is_anomaly].min() > pooled[~is_anomaly].max()
    coverage = patches.coverage[1::2][is_anomaly]
    strongest = maps[is_anomaly].reshape(len(coverage), -1).argmax(axis=1)
    assert (coverage[np.arange(len(coverage)), strongest] > 0).all()


def test_the_same_seed_gives_the_same_weights_and_another_does_not(patches: PreparedPatches) -> None:
    first, again = patches.fit(EVERY).patch_model, patches.fit(EVERY).patch_model
    assert np.array_equal(first.weights, again.weights)
    assert first.bias == again.bias
    other = replace(patches, recipe=tiny_patches(seed=8)).fit(EVERY).patch_model
    assert not np.array_equal(first.weights, other.weights)


def test_advance_hears_every_round(patches: PreparedPatches) -> None:
    heard: list[str] = []

    def advance(remark: str = "") -> None:
        heard.append(remark)

    patches.fit(EVERY, advance)
    assert len(heard) == patches.fit_steps == 3


@pytest.mark.parametrize("kind", ["masked", "unmasked"])
def test_what_is_not_chosen_is_not_seen(patches: PreparedPatches, unmasked: PreparedPatches, kind: str) -> None:
    prepared = patches if kind == "masked" else unmasked
    chosen = EVERY[::2]
    others = np.setdiff1d(EVERY, chosen)
    features, coverage = np.array(even_features(prepared)), prepared.coverage.copy()
    features[others] = np.nan
    coverage[others] = 1 - coverage[others]
    poisoned = replace(prepared, features=features, coverage=coverage)
    blind, model = poisoned.fit(chosen), prepared.fit(chosen)
    assert np.array_equal(blind.patch_model.weights, model.patch_model.weights)
    assert blind.image_model is not None
    assert model.image_model is not None
    assert np.array_equal(blind.image_model.weights, model.image_model.weights)


def test_where_an_image_stands_among_others_changes_nothing(patches: PreparedPatches) -> None:
    """An image that is neither learnt from nor predicted comes first; all others move up one."""
    samples = [patches.training_set.samples[6], *patches.training_set.samples]
    shifted = replace(
        patches,
        training_set=replace(patches.training_set, samples=samples, source=np.arange(23)),
        features=np.concatenate([even_features(patches)[6:7] * 3, even_features(patches)]),
        coverage=np.concatenate([patches.coverage[6:7], patches.coverage]),
    )
    model, same = patches.fit(EVERY[::2]), shifted.fit(EVERY[::2] + 1)
    assert np.array_equal(model.patch_model.weights, same.patch_model.weights)
    assert np.array_equal(model.evidence(EVERY[1::2]), same.evidence(EVERY[1::2] + 1))


# What each round is given


def test_good_patchs_are_zero_and_defective_ones_as_their_masks_say(patches: PreparedPatches) -> None:
    fits = fits_of(patches)
    drawn = 12 * 17  # 200 patches of 12 images, rounded up
    first = fits.targets[0]
    model, scores = fits.models[0], after(patches, 1)(even_features(patches))
    assert not first[:drawn].any()
    labelled = first[drawn:].reshape(10, 14)  # all four patches of each spot, and ten beside it
    for image, targets, rows in zip(BAD, labelled, fits.features[0][drawn:].reshape(10, 14, -1), strict=True):
        here = [patch_of(scores[image], score) for score in model(rows).tolist()]
        assert len(set(here)) == 14
        assert targets == pytest.approx(np.minimum(1, 4 * patches.coverage[image][here]))
        assert sorted(targets > 0) == [False] * 10 + [True] * 4


def test_each_round_adds_the_strongest_patchs_of_good_images(patches: PreparedPatches) -> None:
    fits = fits_of(patches)
    for number in (1, 2):
        before, now = fits.features[number - 1], fits.features[number]
        added = now[len(before) :]
        assert np.array_equal(now[: len(before)], before)
        assert np.array_equal(fits.targets[number], np.r_[fits.targets[number - 1], np.zeros(60)])
        predicted = after(patches, number)(even_features(patches)[GOOD])  # 12×64
        strongest = np.sort(predicted, axis=1)[:, -5:]  # 60 patches of 12 images
        dataset = np.sort(fits.models[number - 1](added).reshape(12, 5), axis=1)
        assert dataset == pytest.approx(strongest, abs=5e-3)
        assert strongest.min() > np.median(predicted)


def test_guessed_patchs_lie_on_the_hidden_spots(patches: PreparedPatches, unmasked: PreparedPatches) -> None:
    assert np.isnan(unmasked.coverage[BAD]).all()
    fits = fits_of(unmasked)
    for number in (1, 2, 3):
        model, scores = fits.models[number - 1], after(unmasked, number)(unmasked.features[BAD])
        guessed = model(fits.features[number - 1][fits.targets[number - 1] > 0]).tolist()
        assert 10 <= len(guessed) <= 10 * 0.04 * 64
        hit = set()
        for score in guessed:
            image, patch = divmod(patch_of(scores.ravel(), score), 64)
            assert patches.coverage[BAD[image], patch] > 0
            hit.add(image)
        assert len(hit) == 10
        assert set(np.unique(fits.targets[number - 1])) == {0, 1}


def test_images_with_and_without_masks_are_learnt_from_together(patches: PreparedPatches) -> None:
    coverage = patches.coverage.copy()
    coverage[6:11] = np.nan
    fits = fits_of(replace(patches, coverage=coverage))
    known = 5 * 4
    assert known + 5 <= (fits.targets[0] > 0).sum() <= known + 5 * 2


def test_no_more_patchs_are_drawn_than_there_are(patches: PreparedPatches) -> None:
    many = tiny_patches(good_patches=10**6, defect_patches=10**6, hard_patches=10**6, mining_rounds=2)
    fits = fits_of(replace(patches, recipe=many))
    assert [len(features) for features in fits.features] == [22 * 64, 22 * 64 + 12 * 64]


def test_an_empty_mask_gives_no_defective_patch(patches: PreparedPatches) -> None:
    coverage = patches.coverage.copy()
    coverage[BAD[1:]] = 0
    fits = fits_of(replace(patches, coverage=coverage))
    assert (fits.targets[0] > 0).sum() == 4


# What is served


@pytest.mark.parametrize("weight", [0.0, 1.5])
def test_the_exported_network_has_the_maps_that_were_measured(
    dataset: Dataset, patches: PreparedPatches, weight: float
) -> None:
    model = patches.fit(EVERY)
    pixels = torch.from_numpy(network_inputs(dataset, 64))
    with torch.inference_mode():
        served = model.to_network(weight)(pixels).numpy()
    context = model.image_log_odds(EVERY)
    assert context is not None
    measured = add_image_head(model.evidence(EVERY), context, weight)
    assert served.shape == measured.shape == (22, 8, 8)
    assert np.abs(measured).max() > 3
    assert np.ptp(context) > 1
    assert served == pytest.approx(measured, abs=2e-3)


def test_its_heatmaps_show_the_share_of_the_image_head_that_was_measured(
    dataset: Dataset, patches: PreparedPatches
) -> None:
    model = patches.fit(EVERY)
    out_of_fold = predict(patches.training_set, model, EVERY, fold=0)
    method = Method(patches.recipe.pooling, BestBalancedAccuracy(), head=HeadWeights(2.0, 0.5))
    post_processor = fit_post_processor(out_of_fold, method)
    with torch.inference_mode():
        outputs = model.to_network(2.0).outputs(torch.from_numpy(network_inputs(dataset, 64)))
    predictions = post_processor.predictions(out_of_fold.samples, out_of_fold.maps, out_of_fold.image_log_odds)
    evidence, _, context = (each.numpy() for each in outputs)
    assert model.image_model is not None
    assert abs(model.image_model.bias) > 0.1
    for prediction, patch_evidence, head in zip(predictions, evidence, context.mean((1, 2)), strict=True):
        served = post_processor.heatmap_scale.moved(0.75 * float(head))(patch_evidence + head)
        assert served == pytest.approx(prediction.heatmap_scale(prediction.evidence), abs=1e-3)


def test_its_dense_rows_share_the_weights_evenly(patches: PreparedPatches) -> None:
    model = patches.fit(EVERY)
    assert model.image_model is not None
    weights = model.to_network(2.0).weights()
    good, anomaly = weights["dense.weight"]
    assert np.array_equal(good, -anomaly)
    own, context = np.split(anomaly - good, 2)
    assert own == pytest.approx(model.patch_model.weights, rel=1e-6)
    assert context == pytest.approx(2 * model.image_model.weights, rel=1e-6)
    of_patches, of_head = (weights[f"dense.{name}"][1] - weights[f"dense.{name}"][0] for name in ("bias", "head_bias"))
    assert of_patches == pytest.approx(model.patch_model.bias, rel=1e-5)
    assert of_head == pytest.approx(2 * model.image_model.bias, rel=1e-5)


# Whole images


def test_whole_images_are_told_apart_too(patches: PreparedPatches) -> None:
    context = patches.fit(EVERY[::2]).image_log_odds(EVERY[1::2])
    assert context is not None
    is_anomaly = patches.training_set.is_anomaly[1::2]
    assert context[is_anomaly].min() > context[~is_anomaly].max()


def test_they_are_learnt_in_every_view(patches: PreparedPatches) -> None:
    """Two copies that are the same weigh like one; a second one that is nothing but noise changes the model."""
    twice = replace(
        patches,
        features=np.concatenate([even_features(patches), even_features(patches)]),
        means=np.concatenate([patches.means, patches.means]),
        coverage=np.concatenate([patches.coverage, patches.coverage]),
    )
    noise = np.random.default_rng(0).random(even_features(patches).shape, np.float32)
    other = replace(twice, means=np.concatenate([patches.means, noise.mean(axis=1)]))
    once, same, noisy = (prepared.fit(EVERY).image_log_odds(EVERY) for prepared in (patches, twice, other))
    assert once == pytest.approx(same, abs=1e-2)
    assert once != pytest.approx(noisy, abs=1e-1)


def test_a_recipe_without_an_image_head_learns_none(patches: PreparedPatches) -> None:
    recipe = tiny_patches(hypercolumn=replace(tiny_patches().hypercolumn, image_head=False, head_apart=False))
    model = replace(patches, recipe=recipe).fit(EVERY)
    assert model.image_model is None
    assert model.image_log_odds(EVERY) is None
    assert model.to_network().weights()["dense.weight"].shape == (2, even_features(patches).shape[2])


def test_synthetic_anomalies_are_no_whole_images(patches: PreparedPatches) -> None:
    """Every anomaly made from the first good image, and from it alone."""
    source = np.where(patches.training_set.is_anomaly, 0, np.arange(22))
    synthetic = replace(patches, training_set=replace(patches.training_set, source=source))
    model = synthetic.fit(EVERY)
    assert model.image_log_odds(EVERY) is None
    assert not model.to_network(3.0).weights()["dense.weight"][:, even_features(patches).shape[2] :].any()
