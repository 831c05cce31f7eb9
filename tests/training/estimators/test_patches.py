"""Regression of places: what it learns from, what it adds round by round, and that nothing else is seen."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from tests.training.conftest import prepare_places, tiny_places
from training.data.dataset import Dataset
from training.estimators import patches as module
from training.estimators.image_head import with_context
from training.estimators.logistic import Line, fit_logistic
from training.estimators.patches import PatchLearner
from training.features.extraction import squashed
from training.features.imagenet import Trunk

Array = np.ndarray  # type: ignore[type-arg]
EVERY = np.arange(22)
GOOD, BAD = np.r_[0:6, 16:22], np.r_[6:16]
"""test/good, test/scratch and test/spot, train/good: sorted by name."""


@pytest.fixture(scope="module")
def unmasked(found: Dataset, trunk: Trunk) -> PatchLearner:
    return prepare_places(found, trunk, use_masks=False)


@dataclass
class Fits:
    """What each round's regression was given, and the line that came of it."""

    features: list[Array] = field(default_factory=list)
    targets: list[Array] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def __call__(
        self, features: Array, targets: Array, penalty: float, *, start: Line | None = None, **how: int
    ) -> Line:
        assert start is (self.lines[-1] if self.lines else None)
        self.features.append(features)
        self.targets.append(targets)
        self.lines.append(fit_logistic(features, targets, penalty, start=start, **how))
        return self.lines[-1]


def fits_of(learner: PatchLearner) -> Fits:
    seen = Fits()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "fit_logistic", seen)
        learner.learn(EVERY)
    return seen


def after(learner: PatchLearner, rounds: int) -> Line:
    """The line, for features as they are, after so many rounds."""
    return replace(learner, recipe=tiny_places(rounds=rounds)).learn(EVERY).line


def place_of(scores: Array, wanted: float) -> int:
    """Which of the places has that score under the same line, written for standardised features."""
    nearest = int(np.abs(scores - wanted).argmin())
    assert scores[nearest] == pytest.approx(wanted, abs=5e-3)
    return nearest


# What it learns


@pytest.mark.parametrize("use_masks", [True, False])
def test_it_finds_the_spots_of_images_that_it_has_not_seen(
    places: PatchLearner, unmasked: PatchLearner, use_masks: bool
) -> None:
    learner = places if use_masks else unmasked
    maps = learner.learn(EVERY[::2]).maps(EVERY[1::2])
    pooled = learner.recipe.pooling(maps)
    is_anomaly = learner.material.is_anomaly[1::2]
    assert pooled[is_anomaly].min() > pooled[~is_anomaly].max()
    coverage = places.coverage[1::2][is_anomaly]
    strongest = maps[is_anomaly].reshape(len(coverage), -1).argmax(axis=1)
    assert (coverage[np.arange(len(coverage)), strongest] > 0).all()


def test_the_same_seed_gives_the_same_line_and_another_does_not(places: PatchLearner) -> None:
    first, again = places.learn(EVERY).line, places.learn(EVERY).line
    assert np.array_equal(first.weights, again.weights)
    assert first.bias == again.bias
    other = replace(places, recipe=tiny_places(seed=8)).learn(EVERY).line
    assert not np.array_equal(first.weights, other.weights)


def test_advance_hears_every_round(places: PatchLearner) -> None:
    heard: list[str] = []

    def advance(remark: str = "") -> None:
        heard.append(remark)

    places.learn(EVERY, advance)
    assert len(heard) == places.steps == 3


@pytest.mark.parametrize("kind", ["masked", "unmasked"])
def test_what_is_not_chosen_is_not_seen(places: PatchLearner, unmasked: PatchLearner, kind: str) -> None:
    learner = places if kind == "masked" else unmasked
    chosen = EVERY[::2]
    others = np.setdiff1d(EVERY, chosen)
    columns, coverage = np.array(learner.columns), learner.coverage.copy()
    columns[others] = np.nan
    coverage[others] = 1 - coverage[others]
    poisoned = replace(learner, columns=columns, coverage=coverage)
    blind, model = poisoned.learn(chosen), learner.learn(chosen)
    assert np.array_equal(blind.line.weights, model.line.weights)
    assert blind.whole is not None
    assert model.whole is not None
    assert np.array_equal(blind.whole.weights, model.whole.weights)


def test_where_an_image_stands_among_others_changes_nothing(places: PatchLearner) -> None:
    """An image that is neither learnt from nor judged comes first; all others move up one."""
    samples = [places.material.samples[6], *places.material.samples]
    shifted = replace(
        places,
        material=replace(places.material, samples=samples, source=np.arange(23)),
        columns=np.concatenate([places.columns[6:7] * 3, places.columns]),
        coverage=np.concatenate([places.coverage[6:7], places.coverage]),
    )
    model, same = places.learn(EVERY[::2]), shifted.learn(EVERY[::2] + 1)
    assert np.array_equal(model.line.weights, same.line.weights)
    assert np.array_equal(model.maps(EVERY[1::2]), same.maps(EVERY[1::2] + 1))


# What each round is given


def test_good_places_are_zero_and_defective_ones_as_their_masks_say(places: PatchLearner) -> None:
    fits = fits_of(places)
    drawn = 12 * 17  # 200 places of 12 images, rounded up
    first = fits.targets[0]
    line, scores = fits.lines[0], after(places, 1)(places.columns)
    assert not first[:drawn].any()
    labelled = first[drawn:].reshape(10, 14)  # all four places of each spot, and ten beside it
    for image, targets, rows in zip(BAD, labelled, fits.features[0][drawn:].reshape(10, 14, -1), strict=True):
        here = [place_of(scores[image], score) for score in line(rows).tolist()]
        assert len(set(here)) == 14
        assert targets == pytest.approx(np.minimum(1, 4 * places.coverage[image][here]))
        assert sorted(targets > 0) == [False] * 10 + [True] * 4


def test_each_round_adds_the_strongest_places_of_good_images(places: PatchLearner) -> None:
    fits = fits_of(places)
    for number in (1, 2):
        before, now = fits.features[number - 1], fits.features[number]
        added = now[len(before) :]
        assert np.array_equal(now[: len(before)], before)
        assert np.array_equal(fits.targets[number], np.r_[fits.targets[number - 1], np.zeros(60)])
        judged = after(places, number)(places.columns[GOOD])  # 12×64
        strongest = np.sort(judged, axis=1)[:, -5:]  # 60 places of 12 images
        found = np.sort(fits.lines[number - 1](added).reshape(12, 5), axis=1)
        assert found == pytest.approx(strongest, abs=5e-3)
        assert strongest.min() > np.median(judged)


def test_guessed_places_lie_on_the_hidden_spots(places: PatchLearner, unmasked: PatchLearner) -> None:
    assert np.isnan(unmasked.coverage[BAD]).all()
    fits = fits_of(unmasked)
    for number in (1, 2, 3):
        line, scores = fits.lines[number - 1], after(unmasked, number)(unmasked.columns[BAD])
        guessed = line(fits.features[number - 1][fits.targets[number - 1] > 0]).tolist()
        assert 10 <= len(guessed) <= 10 * 0.04 * 64
        hit = set()
        for score in guessed:
            image, place = divmod(place_of(scores.ravel(), score), 64)
            assert places.coverage[BAD[image], place] > 0
            hit.add(image)
        assert len(hit) == 10
        assert set(np.unique(fits.targets[number - 1])) == {0, 1}


def test_images_with_and_without_masks_are_learnt_from_together(places: PatchLearner) -> None:
    coverage = places.coverage.copy()
    coverage[6:11] = np.nan
    fits = fits_of(replace(places, coverage=coverage))
    known = 5 * 4
    assert known + 5 <= (fits.targets[0] > 0).sum() <= known + 5 * 2


def test_no_more_places_are_drawn_than_there_are(places: PatchLearner) -> None:
    many = tiny_places(good_places=10**6, defect_places=10**6, hard_places=10**6, rounds=2)
    fits = fits_of(replace(places, recipe=many))
    assert [len(features) for features in fits.features] == [22 * 64, 22 * 64 + 12 * 64]


def test_an_empty_mask_gives_no_defective_place(places: PatchLearner) -> None:
    coverage = places.coverage.copy()
    coverage[BAD[1:]] = 0
    fits = fits_of(replace(places, coverage=coverage))
    assert (fits.targets[0] > 0).sum() == 4


# What is served


@pytest.mark.parametrize("weight", [0.0, 1.5])
def test_the_exported_network_has_the_maps_that_were_measured(
    found: Dataset, places: PatchLearner, weight: float
) -> None:
    model = places.learn(EVERY)
    pixels = torch.from_numpy(squashed(found.samples, 64, None))
    with torch.inference_mode():
        served = model.network(weight)(pixels).numpy()
    context = model.context(EVERY)
    assert context is not None
    measured = with_context(model.maps(EVERY), context, weight)
    assert served.shape == measured.shape == (22, 8, 8)
    assert np.abs(measured).max() > 3
    assert np.ptp(context) > 1
    assert served == pytest.approx(measured, abs=2e-3)


def test_its_dense_rows_share_the_lines_evenly(places: PatchLearner) -> None:
    model = places.learn(EVERY)
    assert model.whole is not None
    weights = model.network(2.0).weights()
    good, anomaly = weights["dense.weight"]
    assert np.array_equal(good, -anomaly)
    own, context = np.split(anomaly - good, 2)
    assert own == pytest.approx(model.line.weights, rel=1e-6)
    assert context == pytest.approx(2 * model.whole.weights, rel=1e-6)
    bias = weights["dense.bias"][1] - weights["dense.bias"][0]
    assert bias == pytest.approx(model.line.bias + 2 * model.whole.bias, rel=1e-5)


# Whole pictures


def test_whole_pictures_are_told_apart_too(places: PatchLearner) -> None:
    context = places.learn(EVERY[::2]).context(EVERY[1::2])
    assert context is not None
    is_anomaly = places.material.is_anomaly[1::2]
    assert context[is_anomaly].min() > context[~is_anomaly].max()


def test_they_are_learnt_in_every_view(places: PatchLearner) -> None:
    """Two views that are the same weigh like one; a second one that is nothing but noise changes the line."""
    twice = replace(
        places,
        columns=np.concatenate([places.columns, places.columns]),
        coverage=np.concatenate([places.coverage, places.coverage]),
    )
    noise = np.random.default_rng(0).random(places.columns.shape, np.float32)
    other = replace(twice, columns=np.concatenate([places.columns, noise]))
    once, same, noisy = (learner.learn(EVERY).context(EVERY) for learner in (places, twice, other))
    assert once == pytest.approx(same, abs=1e-2)
    assert once != pytest.approx(noisy, abs=1e-1)


def test_a_recipe_without_context_learns_none(places: PatchLearner) -> None:
    recipe = tiny_places(hypercolumn=replace(tiny_places().hypercolumn, context=False))
    model = replace(places, recipe=recipe).learn(EVERY)
    assert model.whole is None
    assert model.context(EVERY) is None
    assert model.network().weights()["dense.weight"].shape == (2, places.columns.shape[2])


def test_synthetic_anomalies_are_no_whole_pictures(places: PatchLearner) -> None:
    """Every anomaly made from the first good image, and from it alone."""
    source = np.where(places.material.is_anomaly, 0, np.arange(22))
    synthetic = replace(places, material=replace(places.material, source=source))
    model = synthetic.learn(EVERY)
    assert model.context(EVERY) is None
    assert not model.network(3.0).weights()["dense.weight"][:, places.columns.shape[2] :].any()
