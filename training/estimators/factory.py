"""Which estimator a recipe is for: the only place that tells the kinds of recipe apart."""

from typing import assert_never

from training.estimators.estimator import Estimator
from training.estimators.fine_tuning import FineTuningEstimator
from training.estimators.patch_estimator import PatchEstimator
from training.recipe import FineTuning, Patches, Recipe


def estimator_for(recipe: Recipe) -> Estimator:
    """The estimator of this recipe, before it has seen any image."""
    match recipe:
        case FineTuning():
            return FineTuningEstimator(recipe)
        case Patches():
            return PatchEstimator(recipe)
        case _:
            assert_never(recipe)
