"""Both trunks on the same folds, and what follows."""

from dataclasses import replace

import numpy as np
import pytest

from tests.training.conftest import fitting, prepare, tiny_patches
from training.data.dataset import Dataset
from training.data.splits import Indices
from training.estimators.patch_regression import PatchRegression
from training.estimators.trunk_comparison import PreparedTrunkComparison
from training.features.imagenet import Trunk
from training.progress import Advance, no_progress

EVERY = np.arange(22)


@pytest.fixture(scope="module")
def comparison(dataset: Dataset, trunk: Trunk, few_narrowing_images: None) -> PreparedTrunkComparison:
    prepared = prepare(dataset, trunk, tiny_patches(trunk="auto"))
    assert isinstance(prepared, PreparedTrunkComparison)
    return prepared


def test_the_narrow_trunk_is_taken_where_it_loses_nothing(comparison: PreparedTrunkComparison) -> None:
    fitted = comparison.cross_val_predict(EVERY, no_progress)
    assert fitted.trunk_choice is not None
    assert (fitted.trunk_choice.trunk, fitted.trunk_choice.images) == ("narrow", 22)
    assert fitted.trunk_choice.unseen_kinds == {"scratch": (1.0, 1.0), "spot": (1.0, 1.0)}
    assert fitted.model.to_network().hypercolumn.trunk[0] == (16, 16)
    assert len(fitted.out_of_fold.samples) == 22


def test_it_is_given_up_early_where_it_has_lost(comparison: PreparedTrunkComparison) -> None:
    fits: list[int] = []

    def upside_down(indices: Indices, advance: Advance) -> PatchRegression:
        fits.append(len(indices))
        model = comparison.full.fit(indices, advance)
        return replace(model, patch_model=replace(model.patch_model, weights=-model.patch_model.weights))

    worse = replace(comparison, narrow=fitting(comparison.narrow, upside_down))  # type: ignore[arg-type]
    fitted = worse.cross_val_predict(EVERY, no_progress)
    assert fitted.trunk_choice is not None
    assert fitted.trunk_choice.trunk == "full"
    assert "given up after 67% of the images" in fitted.trunk_choice.reason
    assert len(fits) == 2
    alone = comparison.full.cross_val_predict(EVERY, no_progress)
    assert np.array_equal(fitted.out_of_fold.maps, alone.out_of_fold.maps)
    assert [sample.name for sample in fitted.out_of_fold.samples] == [s.name for s in alone.out_of_fold.samples]
    assert fitted.model.to_network().hypercolumn == comparison.recipe.hypercolumn


def test_a_kind_that_only_the_full_trunk_finds_unseen_is_not_lost(
    comparison: PreparedTrunkComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PreparedTrunkComparison, "_unseen", lambda self, kind, good, real: (1.0, 0.9))
    choice = comparison.cross_val_predict(EVERY, no_progress).trunk_choice
    assert choice is not None
    assert choice.trunk == "full"
    assert "where it has not learnt from scratch, it finds less of it" in choice.reason
    assert choice.unseen_kinds == {"scratch": (1.0, 0.9), "spot": (1.0, 0.9)}
