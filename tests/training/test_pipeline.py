"""What is held out has no influence: not its labels, not its pixels, not its masks, nor what is made from it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import pytest
from PIL import Image

from model.errors import DataError, ErrorBoundError
from model.verdict import Calibration, prior_shift
from tests.training.conftest import picture, prepare_places, quiet, save, tiny_places, tiny_published, write_folder
from training.data.dataset import Dataset, survey
from training.data.masks import Mask
from training.data.samples import Sample, find_samples
from training.data.splits import Indices, Split, make_folds
from training.data.training_set import TrainingSet
from training.estimators.estimator import Learner, Model, prepare
from training.estimators.image_head import Context
from training.estimators.patches import PatchLearner
from training.evaluation.figures import measure
from training.evaluation.post_processing import Maps, Method
from training.evaluation.prediction import Prediction
from training.evaluation.thresholds import BestBalancedAccuracy, ErrorRateLimits, Fixed, LeastCost
from training.features.imagenet import Trunk
from training.pipeline import FittedPipeline, held_out, judge_once, method_of, steps, train, uncalibrated
from training.progress import Advance, no_progress
from training.recipe import Places, Recipe

T = TypeVar("T")
RULE: Final = BestBalancedAccuracy()
RATE: Final = 0.03
"""The line's share of defects, so that shifts show."""


@dataclass(frozen=True)
class Mode:
    """One way to train."""

    recipe: Recipe
    choices: dict[str, Any] = field(default_factory=dict)

    def prepared(self, found: Dataset, trunk: Trunk) -> Learner:
        return prepare(found, trunk, self.recipe, "cpu", quiet(), **self.choices)

    def method(self, learner: Learner) -> Method:
        use_masks = self.choices.get("use_masks", True)
        return method_of(self.recipe, learner.material, RULE, defect_rate=RATE, use_masks=use_masks)

    def judged(self, learner: Learner, split: Split) -> list[Prediction]:
        return judge_once(learner, split, self.recipe, self.method(learner), no_progress, 1)

    def trained(self, learner: Learner) -> FittedPipeline:
        return train(learner, learner.material.real, self.recipe, self.method(learner), no_progress)


MODES: Final = {
    "published": Mode(tiny_published()),
    "masks": Mode(tiny_places()),
    "no masks": Mode(tiny_places(), {"use_masks": False}),
    "synthetic": Mode(tiny_places(), {"anomalies": "synthetic"}),
    "both": Mode(tiny_places(), {"anomalies": "both"}),
}
every_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())
Prepared = Callable[[Mode], Learner]
Judged = Callable[[Mode], list[Prediction]]
TrainedBy = Callable[[Mode], FittedPipeline]


@pytest.fixture(scope="module")
def prepared(found: Dataset, trunk: Trunk) -> Prepared:
    """Each mode's learner of `found`."""
    return _once(lambda mode: mode.prepared(found, trunk))


@pytest.fixture(scope="module")
def split(found: Dataset) -> Split:
    return make_folds(found.samples, 3, 0)[0]


@pytest.fixture(scope="module")
def judged(prepared: Prepared, split: Split) -> Judged:
    """What each mode says of the test part."""
    return _once(lambda mode: mode.judged(prepared(mode), split))


@pytest.fixture(scope="module")
def trained(prepared: Prepared) -> TrainedBy:
    """What each mode makes of everything."""
    return _once(lambda mode: mode.trained(prepared(mode)))


def _once(work: Callable[[Mode], T]) -> Callable[[Mode], T]:
    done: dict[int, T] = {}

    def of(mode: Mode) -> T:
        if id(mode) not in done:
            done[id(mode)] = work(mode)
        return done[id(mode)]

    return of


def said(predictions: list[Prediction], mode: Mode) -> dict[str, tuple[object, ...]]:
    """All that is said of each image. Levels of the published recipe's pictures come from the test part itself."""
    return {
        p.sample.name: (p.log_odds, p.thresholds, p.shift, None if mode is MODES["published"] else p.heatmap_scale)
        for p in predictions
    }


def numbers(words: tuple[Any, ...]) -> list[float]:
    """The same, to be compared roughly."""
    log_odds, thresholds, shift, scale = words
    levels = [scale.good_median, scale.region_threshold] if scale else []
    return [log_odds, thresholds.review, thresholds.label, thresholds.reject, shift, *levels]


# The test part of a fold


@every_mode
def test_labels_of_the_test_part_change_no_word_on_it(
    found: Dataset, trunk: Trunk, judged: Judged, split: Split, mode: Mode
) -> None:
    samples = list(found.samples)
    for i in split.test[:5]:
        samples[i] = replace(samples[i], kind="good" if samples[i].is_anomaly else "spot", mask=None)
    before = judged(mode)
    after = mode.judged(mode.prepared(replace(found, samples=samples), trunk), split)
    assert [p.sample.is_anomaly for p in before] != [p.sample.is_anomaly for p in after]
    assert said(before, mode) == said(after, mode)


@every_mode
def test_pixels_of_the_test_part_change_no_word_on_its_other_images(
    found: Dataset, trunk: Trunk, judged: Judged, split: Split, mode: Mode, tmp_path: Path
) -> None:
    samples = list(found.samples)
    changed = split.test[::2]
    assert {found.samples[i].is_anomaly for i in changed} == {True, False}
    for i in changed:
        other = save(tmp_path / f"{i}.png", Image.effect_noise((48, 48), 90).convert("RGB"))
        samples[i] = replace(samples[i], path=other)
    before = said(judged(mode), mode)
    after = said(mode.judged(mode.prepared(replace(found, samples=samples), trunk), split), mode)
    names = {found.samples[i].name for i in changed}
    assert {name for name in before if before[name] != after[name]} == names


@every_mode
def test_an_unrelated_test_image_changes_no_word_on_the_others(
    found: Dataset, trunk: Trunk, judged: Judged, split: Split, mode: Mode, tmp_path: Path
) -> None:
    """It comes first, so that every other image has another index."""
    path = save(tmp_path / "new.png", picture(77, defective=False))
    samples = [Sample(path, "new.png", "good", group="new"), *found.samples]
    more = mode.prepared(replace(found, samples=samples, digests=["", *found.digests]), trunk)
    before = said(judged(mode), mode)
    after = said(mode.judged(more, Split(split.train + 1, np.r_[0, split.test + 1])), mode)
    assert after.keys() - before.keys() == {"new.png"}
    # Other images share its batch of features: to rounding, therefore.
    assert all(numbers(after[name]) == pytest.approx(numbers(words), abs=0.02) for name, words in before.items())


@every_mode
def test_the_test_parts_order_changes_nothing(prepared: Prepared, judged: Judged, split: Split, mode: Mode) -> None:
    predictions = mode.judged(prepared(mode), Split(split.train, split.test[::-1]))
    assert [p.sample.name for p in predictions] == [prepared(mode).material.samples[i].name for i in split.test[::-1]]
    before, after = said(judged(mode), mode), said(predictions, mode)
    assert all(numbers(after[name]) == pytest.approx(numbers(words), abs=1e-4) for name, words in before.items())


# Who has seen what


@dataclass
class Watched:
    """A learner whose networks refuse to judge what they, or what they learnt from was made from, have seen."""

    inner: Learner
    learnt: list[Indices] = field(default_factory=list)
    judged: list[Indices] = field(default_factory=list)

    @property
    def material(self) -> TrainingSet:
        return self.inner.material

    @property
    def steps(self) -> int:
        return self.inner.steps

    def learn(self, chosen: Indices, advance: Advance = no_progress) -> Model:
        self.learnt.append(chosen)
        return WatchedModel(self.inner.learn(chosen, advance), chosen, self)


@dataclass
class WatchedModel:
    inner: Model
    chosen: Indices
    learner: Watched

    def maps(self, indices: Indices) -> Maps:
        material = self.learner.material
        assert not np.intersect1d(material.source[self.chosen], material.source[indices]).size
        groups = [{material.samples[i].group for i in part} for part in (self.chosen, indices)]
        assert not groups[0] & groups[1]
        self.learner.judged.append(indices)
        return self.inner.maps(indices)

    def context(self, indices: Indices) -> Context | None:
        assert np.array_equal(self.learner.judged[-1], indices)
        return self.inner.context(indices)

    def network(self, context_weight: float = 0.0) -> Any:
        return self.inner.network(context_weight)


@every_mode
def test_no_network_judges_what_it_has_learnt_from(prepared: Prepared, split: Split, mode: Mode) -> None:
    watched = Watched(prepared(mode))
    mode.judged(watched, split)
    outside = np.concatenate(watched.learnt)
    assert not np.intersect1d(watched.material.source[outside], split.test).size
    assert np.array_equal(watched.judged[0 if mode is MODES["published"] else -1], split.test)
    mode.trained(watched)


@every_mode
def test_groups_stay_on_one_side_of_every_division(found: Dataset, trunk: Trunk, mode: Mode) -> None:
    samples = [replace(sample, group=f"{sample.kind}{i // 2}") for i, sample in enumerate(found.samples)]
    mode.trained(Watched(mode.prepared(replace(found, samples=samples), trunk)))


def poisoned(learner: PatchLearner, these: Indices) -> PatchLearner:
    """One that gives no number to whom looks at these images."""
    columns, coverage = np.array(learner.columns), learner.coverage.copy()
    columns[these], coverage[these] = np.nan, np.nan
    return replace(learner, columns=columns, coverage=coverage)


def test_synthetic_anomalies_leave_real_defects_unseen(found: Dataset, trunk: Trunk, split: Split) -> None:
    """Not in training, calibration, thresholds or levels; only the outer test part may hold some, to be judged."""
    mode = MODES["synthetic"]
    learner = prepare_places(found, trunk, anomalies="synthetic")
    blind = poisoned(learner, np.flatnonzero(learner.material.is_anomaly & ~learner.material.is_synthetic))
    seeing, unseeing = mode.trained(learner), mode.trained(blind)
    assert seeing.judge == unseeing.judge
    assert said(seeing.predictions, mode) == said(unseeing.predictions, mode)
    assert {p.sample.kind for p in seeing.predictions} == {"good", "synthetic"}
    weights = [trained.model.network().weights()["dense.weight"] for trained in (seeing, unseeing)]
    assert np.array_equal(*weights)
    before, after = (said(mode.judged(each, split), mode) for each in (learner, blind))
    good = [name for name in before if "/good/" in name]
    assert len(good) == 4
    assert [before[name] for name in good] == [after[name] for name in good]
    assert {found.samples[i].kind for i in split.test} == {"good", "scratch", "spot"}
    assert len(before) == len(split.test)


def test_synthetic_anomalies_beside_real_ones_are_learnt_from_and_never_judged(prepared: Prepared) -> None:
    watched = Watched(prepared(MODES["both"]))
    trained = MODES["both"].trained(watched)
    assert not watched.material.is_synthetic[np.concatenate(watched.judged)].any()
    assert all(watched.material.is_synthetic[chosen].any() for chosen in watched.learnt)
    assert {p.sample.kind for p in trained.predictions} == {"good", "scratch", "spot"}


@pytest.mark.parametrize("anomalies", ["real", "both"])
def test_masks_that_may_not_be_used_have_no_influence(
    found: Dataset, trunk: Trunk, split: Split, anomalies: str
) -> None:
    """Their files aren't even there."""
    mode = Mode(tiny_places(), {"use_masks": False, "anomalies": anomalies})
    nowhere = [replace(s, mask=Mask((Path("nowhere.png"),)) if s.is_anomaly else None) for s in found.samples]
    without = [replace(s, mask=None) for s in found.samples]
    learners = [mode.prepared(replace(found, samples=samples), trunk) for samples in (nowhere, without)]
    first, second = (said(mode.judged(learner, split), mode) for learner in learners)
    assert first == second
    first, second = (said(mode.trained(learner).predictions, mode) for learner in learners)
    assert first == second


def test_masks_that_may_be_used_have(judged: Judged) -> None:
    with_masks, without = (said(judged(MODES[name]), MODES[name]) for name in ("masks", "no masks"))
    assert all(with_masks[name] != without[name] for name in without)


# What comes of it


@every_mode
def test_it_learns_the_spots(trained: TrainedBy, mode: Mode) -> None:
    predictions = trained(mode).predictions
    scores = {kind: [p.log_odds for p in predictions if p.sample.is_anomaly == kind] for kind in (True, False)}
    assert np.mean(scores[True]) > np.mean(scores[False])
    if mode.recipe == tiny_places() and mode.choices.get("anomalies") != "synthetic":
        assert np.mean([p.is_correct for p in predictions]) > 0.9


@every_mode
def test_every_image_is_judged_once_by_thresholds_of_others(prepared: Prepared, trained: TrainedBy, mode: Mode) -> None:
    predictions, how = trained(mode).predictions, trained(mode).how
    names = [p.sample.name for p in predictions]
    assert len(set(names)) == len(names)
    if mode is MODES["published"]:
        assert len(names) == 6
        assert how == "6 held-out images (seed 7), trained on 16 others"
        assert {p.fold for p in predictions} == {0, 1}
        return
    material = prepared(mode).material
    assert sorted(names) == sorted(material.samples[i].name for i in material.judged(material.real))
    assert {p.fold for p in predictions} == {1, 2, 3}
    assert how.startswith(f"{len(names)} images, each judged once in 3-fold cross-validation")
    for fold in (1, 2, 3):
        assert len({(p.thresholds, p.heatmap_scale) for p in predictions if p.fold == fold}) == 1
    assert len({p.heatmap_scale for p in predictions}) == 3


@every_mode
def test_advance_hears_no_more_than_was_announced(prepared: Prepared, split: Split, mode: Mode) -> None:
    learner, heard = prepared(mode), []

    def advance(remark: str = "") -> None:
        heard.append(remark)

    train(learner, learner.material.real, mode.recipe, mode.method(learner), advance)
    assert 0 < len(heard) <= steps(learner, mode.recipe)
    if isinstance(mode.recipe, Places):
        assert len(heard) == 3 * 4  # rounds of three inner folds and of the whole


def test_parts_that_are_judged_are_the_inner_folds(prepared: Prepared) -> None:
    learner = prepared(MODES["masks"])
    held = held_out(learner, learner.material.real, 3, 0, no_progress)
    folds = make_folds(learner.material.samples, 3, 0)
    for number, fold in enumerate(folds, 1):
        names = {sample.name for sample, part in zip(held.samples, held.fold_ids, strict=True) if part == number}
        assert names == {learner.material.samples[i].name for i in fold.test}
    assert held.maps.shape == (22, 8, 8)


# How the judge is chosen


@pytest.mark.parametrize("rule", [LeastCost(3), RULE, ErrorRateLimits(0.3)])
def test_the_rule_is_for_recipes_that_calibrate(prepared: Prepared, rule: LeastCost) -> None:
    material = prepared(MODES["masks"]).material
    method = method_of(tiny_places(), material, rule, defect_rate=RATE, use_masks=False)
    assert method == Method(tiny_places().pooling, rule, RATE, None, False)
    published = method_of(tiny_published(threshold=0.4), material, rule)
    assert published.rule == Fixed(0.4)
    assert published.calibration == Calibration(1.0, 0.0, pytest.approx(10 / 22))


def test_class_weights_say_at_what_share_the_probabilities_hold() -> None:
    assert uncalibrated(0.3, tiny_published()).defect_rate == pytest.approx(0.3)
    assert uncalibrated(0.25, tiny_published(class_weights=(1.0, 3.0))).defect_rate == pytest.approx(0.5)


def test_the_published_softmax_is_read_at_the_share_that_it_was_trained_at(prepared: Prepared, split: Split) -> None:
    learner = prepared(MODES["published"])
    share = float(learner.material.is_anomaly[split.train].mean())
    assert share != learner.material.is_anomaly.mean()
    predictions = MODES["published"].judged(learner, split)
    assert {p.shift for p in predictions} == {prior_shift(share, RATE)}


# Too little data


@pytest.mark.parametrize("recipe", [tiny_published(), tiny_places()], ids=["published", "places"])
def test_too_few_images_are_a_clear_error(tmp_path: Path, trunk: Trunk, recipe: Recipe) -> None:
    found = survey(find_samples(write_folder(tmp_path, good=12, bad=1)))
    mode = Mode(recipe)
    with pytest.raises(DataError, match="class anomaly has 2 image"):
        mode.trained(mode.prepared(found, trunk))


def test_a_single_held_out_good_image_is_too_few_for_the_published_recipe(tmp_path: Path, trunk: Trunk) -> None:
    found = survey(find_samples(write_folder(tmp_path, good=4, bad=4)))
    mode = MODES["published"]
    with pytest.raises(DataError, match="levels need good images"):
        mode.trained(mode.prepared(found, trunk))


def test_a_promise_that_the_images_can_not_carry_is_refused(prepared: Prepared) -> None:
    learner = prepared(MODES["masks"])
    method = method_of(tiny_places(), learner.material, ErrorRateLimits(0.01))
    with pytest.raises(ErrorBoundError, match="miss rate"):
        train(learner, learner.material.real, tiny_places(), method, no_progress)


@pytest.mark.parametrize("anomalies", ["synthetic", "both"])
def test_good_images_alone_are_enough_to_train(tmp_path: Path, trunk: Trunk, anomalies: str) -> None:
    found = survey(find_samples(write_folder(tmp_path, good=9, bad=0)))
    mode = Mode(tiny_places(), {"anomalies": anomalies})
    learner = mode.prepared(found, trunk)
    trained = mode.trained(Watched(learner))
    assert {p.sample.kind for p in trained.predictions} == {"good", "synthetic"}
    assert trained.judge.calibration.defect_rate == pytest.approx(0.5)
    assert measure(trained.predictions, "").by_kind["synthetic"].images == 9


def test_good_images_alone_are_no_real_anomalies(tmp_path: Path, trunk: Trunk) -> None:
    mode = MODES["masks"]
    with pytest.raises(DataError, match=r"no image is of a defective part.*fit --anomalies synthetic"):
        mode.trained(mode.prepared(survey(find_samples(write_folder(tmp_path, good=9, bad=0))), trunk))
