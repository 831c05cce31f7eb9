"""What the command line asks for, and whether it goes together, before anything is read or trained."""

import argparse
from collections.abc import Sequence

from model.errors import ErrorBoundError, RecipeError
from training.data.samples import Sample
from training.data.training_set import Anomalies, available
from training.evaluation.error_bounds import max_errors
from training.evaluation.thresholds import BestBalancedAccuracy, ErrorRateLimits, LeastCost, Rule
from training.recipe import Recipe


def rule_of(chosen: argparse.Namespace) -> Rule | None:
    """None where none is named. Raises RecipeError where arguments exclude each other or make no sense."""
    limits = chosen.max_miss is not None or chosen.max_false_reject is not None
    if (chosen.miss_cost is not None) + limits + chosen.best_balanced_accuracy > 1:
        raise RecipeError("choose one of --miss-cost, --best-balanced-accuracy, and limits (--max-miss, …)")
    check_defect_rate(chosen)
    try:
        if limits:
            return ErrorRateLimits(chosen.max_miss, chosen.max_false_reject)
        if chosen.best_balanced_accuracy:
            return BestBalancedAccuracy()
        return None if chosen.miss_cost is None else LeastCost(chosen.miss_cost)
    except ValueError as error:
        raise RecipeError(str(error)) from None


def default_rule(anomalies: Anomalies, samples: Sequence[Sample]) -> Rule:
    """The least expected cost, if real defects are there: as many synthetic ones as good images, which are as faint as
    they happen to be, would make it reject a third of the good parts."""
    return BestBalancedAccuracy() if available(anomalies, samples) == "synthetic" else LeastCost()


def check_defect_rate(chosen: argparse.Namespace) -> None:
    """Raise RecipeError where it is no share."""
    if chosen.defect_rate is not None and not 0 < chosen.defect_rate < 1:
        raise RecipeError(f"--defect-rate must lie between 0 and 1, not {chosen.defect_rate:g}")


def named_rule(chosen: argparse.Namespace) -> str:
    """The first argument that chooses a rule, as it was typed; empty where there is none."""
    values = {
        "--miss-cost": chosen.miss_cost,
        "--max-miss": chosen.max_miss,
        "--max-false-reject": chosen.max_false_reject,
        "--best-balanced-accuracy": chosen.best_balanced_accuracy or None,
    }
    return next((name for name, value in values.items() if value is not None), "")


def check_training(chosen: argparse.Namespace, recipe: Recipe) -> None:
    """Raise RecipeError where the preset, or the anomalies that are learnt from, can't be had with the rest."""
    rule_of(chosen)
    rule = named_rule(chosen)
    if rule and recipe.fixed_threshold is not None:
        raise RecipeError(
            f"preset {recipe.name} has a fixed threshold of {recipe.fixed_threshold:g}, so {rule} is for other presets"
        )
    if chosen.anomalies != "real" and not recipe.takes_synthetic_anomalies:
        raise RecipeError(
            f"preset {recipe.name} learns from real anomalies only, so --anomalies {chosen.anomalies} is for other "
            "presets"
        )
    if chosen.command == "curve" and min(chosen.defects) < recipe.inner_folds:
        raise RecipeError(
            f"--defects {min(chosen.defects)} is too few: preset {recipe.name} divides them into {recipe.inner_folds} "
            "folds"
        )
    if chosen.anomalies == "synthetic":
        if chosen.max_miss is not None:
            raise RecipeError(
                "--max-miss can't be promised of real defects by synthetic ones; label some, and use evaluate "
                "--recalibrate --max-miss"
            )
        if chosen.command == "curve":
            raise RecipeError("--anomalies synthetic learns from no real defect, so their number changes nothing")


def check_evaluation(chosen: argparse.Namespace) -> None:
    """Raise RecipeError for a rule that nothing is chosen by, or groups that nothing is divided by."""
    rule_of(chosen)
    if (rule := named_rule(chosen)) and not chosen.recalibrate:
        raise RecipeError(f"{rule} chooses new thresholds: it needs --recalibrate")
    if chosen.group is not None and not chosen.recalibrate:
        raise RecipeError("--group keeps parts together where thresholds are chosen: it needs --recalibrate")


def check_promise(rule: Rule, defects: int, goods: int) -> None:
    """Raise ErrorBoundError now, not after training, where so few images can't carry the rule's promise."""
    if not isinstance(rule, ErrorRateLimits):
        return
    if rule.max_miss is not None:
        max_errors(rule.max_miss, defects, "miss rate")
    if rule.max_false_reject is not None:
        max_errors(rule.max_false_reject, goods, "false-reject rate")


def check_promise_of_parts(rule: Rule, samples: Sequence[Sample], parts: Sequence[Sequence[Sample]]) -> None:
    """The same where each of these parts of the samples chooses thresholds that the others are judged by."""
    check_promise(rule, *_counts(samples))
    try:
        for part in parts:
            check_promise(rule, *_counts(part))
    except ErrorBoundError as error:
        raise ErrorBoundError(f"{error} besides those held out to measure what the thresholds do") from None


def _counts(samples: Sequence[Sample]) -> tuple[int, int]:
    defects = sum(sample.is_anomaly for sample in samples)
    return defects, len(samples) - defects
