"""Trunks of several widths on the same folds, and what follows."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from model.trunk_choice import CascadeTrial, TrunkChoice
from tests.training.conftest import fitting, no_narrow_trunk_passes, prepare, tiny_patches
from training.data.dataset import Dataset
from training.data.splits import Indices, make_folds
from training.estimators import trunk_comparison
from training.estimators.estimator import FittedEstimator
from training.estimators.narrow_patches import PreparedNarrowPatches
from training.estimators.patches import PreparedPatches
from training.estimators.trunk_comparison import PreparedTrunkComparison
from training.estimators.unseen_kinds import UnseenKinds
from training.evaluation import clearing
from training.evaluation.post_processing import OutOfFold
from training.features.imagenet import Trunk
from training.progress import Advance, no_progress

EVERY = np.arange(22)


@pytest.fixture(scope="module")
def comparison(dataset: Dataset, trunk: Trunk, few_narrowing_images: None) -> PreparedTrunkComparison:
    prepared = prepare(dataset, trunk, tiny_patches(trunk="auto", narrow_shares=(0.125, 0.25)))
    assert isinstance(prepared, PreparedTrunkComparison)
    return prepared


@dataclass(frozen=True)
class Fits:
    """What the estimators were asked to fit."""

    narrow: list[int] = field(default_factory=list)

    def upside_down(self, narrow: PreparedNarrowPatches, full: PreparedPatches) -> PreparedNarrowPatches:
        """It takes the good for the defective."""

        def fit(indices: Indices, advance: Advance) -> FittedEstimator:
            self.narrow.append(len(indices))
            model = full.fit(indices, advance)
            patches, image = model.patch_model, model.image_model
            assert image is not None
            return replace(
                model,
                patch_model=replace(patches, weights=-patches.weights),
                image_model=replace(image, weights=-image.weights, bias=-image.bias),
            )

        return fitting(narrow, fit)  # type: ignore[return-value]


def choice_of(comparison: PreparedTrunkComparison) -> TrunkChoice:
    choice = comparison.cross_val_predict(EVERY, no_progress).trunk_choice
    assert choice is not None
    return choice


def test_the_narrowest_trunk_is_taken_where_it_loses_nothing(comparison: PreparedTrunkComparison) -> None:
    fitted = comparison.cross_val_predict(EVERY, no_progress)
    choice = fitted.trunk_choice
    assert choice is not None
    assert (choice.trunk, choice.share, len(choice.trials)) == ("narrow", 0.125, 1)
    assert (choice.trials[0].passed, choice.trials[0].images) == (True, 22)
    assert choice.trials[0].unseen_kinds == {"scratch": (1.0, 1.0), "spot": (1.0, 1.0)}
    assert fitted.model.to_network().hypercolumn.trunk[0] == (8, 8)
    assert len(fitted.out_of_fold.samples) == 22


def test_the_next_wider_one_is_tried_where_it_loses(comparison: PreparedTrunkComparison) -> None:
    fits, (first, second) = Fits(), comparison.narrow
    worse = replace(comparison, narrow=[fits.upside_down(first, comparison.full), second])
    fitted = worse.cross_val_predict(EVERY, no_progress)
    choice = fitted.trunk_choice
    assert choice is not None
    assert [(trial.share, trial.passed) for trial in choice.trials] == [(0.125, False), (0.25, True)]
    assert "given up" not in choice.trials[0].reason  # it may still clear images
    assert len(fits.narrow) == 3
    assert [each.trial.passed for each in choice.cascades] == [False]
    assert choice.share == 0.25
    assert fitted.model.to_network().hypercolumn.trunk[0] == (16, 16)
    alone = second.cross_val_predict(EVERY, no_progress)
    assert np.array_equal(fitted.out_of_fold.maps, alone.out_of_fold.maps)


def test_the_full_one_is_taken_where_all_lose(comparison: PreparedTrunkComparison) -> None:
    fits = Fits()
    worse = replace(comparison, narrow=[fits.upside_down(each, comparison.full) for each in comparison.narrow])
    fitted = worse.cross_val_predict(EVERY, no_progress)
    choice = fitted.trunk_choice
    assert choice is not None
    assert (choice.trunk, choice.share, [trial.passed for trial in choice.trials]) == ("full", 1.0, [False, False])
    assert len(fits.narrow) == 3 + 3
    assert [(each.trial.share, each.trial.passed) for each in choice.cascades] == [(0.125, False), (0.25, False)]
    assert all(each.cleared < clearing.LEAST_CLEARED for each in choice.cascades)
    assert fitted.cascade is None
    alone = comparison.full.cross_val_predict(EVERY, no_progress)
    assert np.array_equal(fitted.out_of_fold.maps, alone.out_of_fold.maps)
    assert [sample.name for sample in fitted.out_of_fold.samples] == [s.name for s in alone.out_of_fold.samples]
    assert fitted.model.to_network().hypercolumn == comparison.recipe.hypercolumn


def test_a_trunk_that_may_not_clear_images_either_is_given_up(
    comparison: PreparedTrunkComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of images of several tiles."""
    monkeypatch.setattr(PreparedTrunkComparison, "_may_cascade", False)
    fits = Fits()
    worse = replace(comparison, narrow=[fits.upside_down(each, comparison.full) for each in comparison.narrow])
    choice = choice_of(worse)
    assert (choice.trunk, choice.cascades, [trial.passed for trial in choice.trials]) == ("full", [], [False, False])
    assert len(fits.narrow) == 2 + 2
    assert all("given up after 67% of the images" in trial.reason for trial in choice.trials)


def test_the_full_trunk_on_other_patches_is_what_differences_are_held_against(
    comparison: PreparedTrunkComparison,
) -> None:
    redrawn = choice_of(comparison).redrawn
    assert (redrawn.share, redrawn.images, redrawn.flips) == (1.0, 22, 0)
    models = [replace(comparison.full, draw=draw).fit(EVERY) for draw in (0, 1)]
    assert not np.array_equal(models[0].patch_model.weights, models[1].patch_model.weights)
    np.testing.assert_allclose(models[0].evidence(EVERY), models[1].evidence(EVERY), atol=3)


def test_a_kind_that_only_the_full_trunk_finds_unseen_is_not_lost(
    comparison: PreparedTrunkComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = UnseenKinds.pair

    def lost(*arguments: Any) -> tuple[OutOfFold, OutOfFold]:
        of_full, of_narrow = pair(*arguments)
        return of_full, replace(of_narrow, maps=-of_narrow.maps, image_log_odds=None)

    monkeypatch.setattr(UnseenKinds, "pair", lost)
    choice = choice_of(comparison)
    assert choice.trunk == "cascade"  # which leaves what it is not sure of to the full one
    assert [trial.passed for trial in choice.trials] == [False, False]
    assert "where it has not learnt from scratch, it finds less of it" in choice.trials[0].reason
    ((kind, (of_full, of_narrow)),) = choice.trials[0].unseen_kinds.items()  # the other is not needed any more
    assert (kind, of_full) == ("scratch", 1.0)
    assert of_narrow < 0.2


def test_a_trunk_that_may_not_decide_clears_good_images_before_the_full_one(
    comparison: PreparedTrunkComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trunk_comparison, "compare", no_narrow_trunk_passes)
    monkeypatch.setattr(
        trunk_comparison, "MOST_CLEARED_WRONGLY", [0.1]
    )  # of 22 images nothing is as sure as of hundreds
    fitted = comparison.cross_val_predict(EVERY, no_progress)
    choice, cascade = fitted.trunk_choice, fitted.cascade
    assert choice is not None
    assert cascade is not None
    assert (choice.trunk, choice.share, choice.cascade) == ("cascade", 1.0, cascade.trial)
    assert (cascade.trial.trial.share, cascade.trial.trial.flips) == (0.125, 0)
    assert cascade.trial.trial.unseen_kinds == {"scratch": (1.0, 1.0), "spot": (1.0, 1.0)}
    assert cascade.trial.missed == {"scratch": 0, "spot": 0}
    assert cascade.narrow.to_network().hypercolumn.trunk[0] == (8, 8)
    assert fitted.model.to_network().hypercolumn == comparison.recipe.hypercolumn


@pytest.mark.parametrize(
    ("cleared", "tried", "taken"),
    [
        ((0.99, 0.99), [0.125], 0.125),  # the wider one alone would cost an image more than this cascade
        ((0.80, 0.99), [0.125, 0.25], 0.25),
        ((0.80, 0.83), [0.125, 0.25], 0.125),  # the wider one clears more, and costs more than that saves
    ],
)
def test_what_means_least_work_for_a_good_image_is_taken(
    comparison: PreparedTrunkComparison,
    monkeypatch: pytest.MonkeyPatch,
    cleared: tuple[float, float],
    tried: list[float],
    taken: float,
) -> None:
    def passes(share: float, *trunks: Any) -> CascadeTrial:
        trial = clearing.try_cascade(share, *trunks).trial
        return CascadeTrial(replace(trial, passed=True), cleared[int(share == 0.25)], trunks[3])

    monkeypatch.setattr(trunk_comparison, "compare", no_narrow_trunk_passes)
    monkeypatch.setattr(trunk_comparison, "try_cascade", passes)
    monkeypatch.setattr(UnseenKinds, "kinds", [])
    fitted = comparison.cross_val_predict(EVERY, no_progress)
    choice, cascade = fitted.trunk_choice, fitted.cascade
    assert choice is not None
    assert cascade is not None
    assert [each.trial.share for each in choice.cascades] == [trial.share for trial in choice.trials] == tried
    assert (choice.clearing_share, cascade.trial, choice.share) == (taken, choice.cascade, 1.0)
    assert cascade.trial.trial.share == taken


def test_a_cascade_is_as_careful_as_it_must_be_to_miss_nothing_of_a_kind_it_has_not_seen(
    comparison: PreparedTrunkComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trunk_comparison, "compare", no_narrow_trunk_passes)
    monkeypatch.setattr(trunk_comparison, "MOST_CLEARED_WRONGLY", [0.3, 0.2, 0.1, 0.05])
    fit, fitted_with = clearing.fit_clearing, []

    def noted(*arguments: Any) -> clearing.Clearing:
        fitted_with.append(arguments[3])
        return fit(*arguments)

    monkeypatch.setattr(trunk_comparison, "fit_clearing", noted)
    monkeypatch.setattr(clearing.Clearing, "missed", lambda *trunks: int(fitted_with[-1] > 0.1))
    cascade = replace(comparison, narrow=comparison.narrow[:1]).cross_val_predict(EVERY, no_progress).cascade
    assert cascade is not None
    assert (cascade.trial.wrongly, cascade.trial.missed) == (0.1, {"scratch": 0, "spot": 0})
    assert fitted_with == [0.3, 0.3, 0.2, 0.2, 0.1, 0.1, 0.1]  # each kind in turn, and what serves at last


def test_a_cascade_that_does_not_pay_is_not_made_more_careful(
    comparison: PreparedTrunkComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trunk_comparison, "compare", no_narrow_trunk_passes)
    for module in (clearing, trunk_comparison):
        monkeypatch.setattr(module, "LEAST_CLEARED", 0.999)
    first, *_ = choice_of(comparison).cascades
    assert 0.4 < first.cleared < 0.999
    assert first.wrongly == clearing.MOST_CLEARED_WRONGLY[0]


def test_a_cascade_that_loses_a_kind_it_has_not_seen_is_not_taken(
    comparison: PreparedTrunkComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trunk_comparison, "compare", no_narrow_trunk_passes)
    monkeypatch.setattr(trunk_comparison, "MOST_CLEARED_WRONGLY", [0.1])
    monkeypatch.setattr(clearing.Clearing, "missed", lambda *trunks: 1)
    fitted = comparison.cross_val_predict(EVERY, no_progress)
    assert fitted.cascade is None
    choice = fitted.trunk_choice
    assert choice is not None
    assert choice.trunk == "full"
    assert [each.trial.share for each in choice.cascades] == [0.125, 0.25]
    for each in choice.cascades:
        assert each.missed == {"scratch": 1, "spot": 1}
        assert "where it has not learnt from scratch, it clears 1 of it" in each.trial.reason


def test_the_next_wider_one_clears_where_the_narrowest_may_not(
    comparison: PreparedTrunkComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trunk_comparison, "compare", no_narrow_trunk_passes)
    monkeypatch.setattr(trunk_comparison, "MOST_CLEARED_WRONGLY", [0.1])
    fits, (first, second) = Fits(), comparison.narrow
    worse = replace(comparison, narrow=[fits.upside_down(first, comparison.full), second])
    fitted = worse.cross_val_predict(EVERY, no_progress)
    assert fitted.trunk_choice is not None
    assert fitted.cascade is not None
    assert [(each.trial.share, each.trial.passed) for each in fitted.trunk_choice.cascades] == [
        (0.125, False),
        (0.25, True),
    ]
    assert fitted.cascade.narrow.to_network().hypercolumn.trunk[0] == (16, 16)


def test_a_fold_is_predicted_by_the_cascade_that_its_training_part_allows(
    comparison: PreparedTrunkComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trunk_comparison, "compare", no_narrow_trunk_passes)
    monkeypatch.setattr(trunk_comparison, "MOST_CLEARED_WRONGLY", [0.2])
    split = make_folds(comparison.training_set.samples, 2, 7)[0]
    method = comparison.method
    found = comparison.predict_fold(split, method, no_progress, 1)
    assert found.trunk_choice is not None
    assert found.trunk_choice.trunk == "cascade"
    alone = comparison.full.predict_fold(split, method, no_progress, 1)
    differ = [
        (one.sample.kind, one.decision)
        for one, other in zip(found.predictions, alone.predictions, strict=True)
        if not np.array_equal(one.evidence, other.evidence)
    ]
    assert len(differ) > 1
    assert set(differ) == {("good", "accept")}
    assert [one.decision for one in found.predictions] == [one.decision for one in alone.predictions]
