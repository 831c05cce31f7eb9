"""Whether the command line's arguments go together, before anything is read or trained."""

import argparse
from collections.abc import Sequence

from model.errors import ErrorBoundError, RecipeError
from training.data.samples import Sample
from training.data.training_set import Anomalies, available
from training.evaluation.drift import FEWEST_PARTS, MOST_PARTS
from training.evaluation.error_bounds import max_errors
from training.evaluation.thresholds import BestBalancedAccuracy, ErrorRateLimits, LeastCost, Rule
from training.recipe import Recipe


def rule_of(arguments: argparse.Namespace) -> Rule | None:
    """The rule that is named, or None. Raises RecipeError where arguments exclude each other or make no sense."""
    limits = arguments.max_miss is not None or arguments.max_false_reject is not None
    if (arguments.miss_cost is not None) + limits + arguments.best_balanced_accuracy > 1:
        raise RecipeError("choose one of --miss-cost, --best-balanced-accuracy, and limits (--max-miss, …)")
    check_defect_rate(arguments)
    try:
        if limits:
            return ErrorRateLimits(arguments.max_miss, arguments.max_false_reject)
        if arguments.best_balanced_accuracy:
            return BestBalancedAccuracy()
        return None if arguments.miss_cost is None else LeastCost(arguments.miss_cost)
    except ValueError as error:
        raise RecipeError(str(error)) from None


def default_rule(anomalies: Anomalies, samples: Sequence[Sample]) -> Rule:
    """Least expected cost where there are real defects; else best balanced accuracy.

    Synthetic anomalies are as many as good images and as faint as they happen to be: least cost would reject a third
    of the good parts for them.
    """
    return BestBalancedAccuracy() if available(anomalies, samples) == "synthetic" else LeastCost()


def check_defect_rate(arguments: argparse.Namespace) -> None:
    """Raise RecipeError where --defect-rate is no share."""
    if arguments.defect_rate is not None and not 0 < arguments.defect_rate < 1:
        raise RecipeError(f"--defect-rate must lie between 0 and 1, not {arguments.defect_rate:g}")


def check_odd_rate(arguments: argparse.Namespace) -> None:
    """Raise RecipeError where --odd-rate is no share. Commands that build no gate don't have it."""
    odd_rate = getattr(arguments, "odd_rate", None)
    if odd_rate is not None and not 0 < odd_rate < 1:
        raise RecipeError(f"--odd-rate must lie between 0 and 1, not {odd_rate:g}")


def check_parts_per_false_alarm(arguments: argparse.Namespace) -> None:
    """Raise RecipeError where no chart's limit can be computed for it. Commands that make no charts don't have it."""
    parts = getattr(arguments, "parts_per_false_alarm", None)
    if parts is not None and not FEWEST_PARTS <= parts <= MOST_PARTS:
        raise RecipeError(
            f"--parts-per-false-alarm must lie between {FEWEST_PARTS:,} and {MOST_PARTS:,}, not {parts:,}"
        )


def named_rule(arguments: argparse.Namespace) -> str:
    """The first argument that chooses a rule, as it was typed; empty where there is none."""
    values = {
        "--miss-cost": arguments.miss_cost,
        "--max-miss": arguments.max_miss,
        "--max-false-reject": arguments.max_false_reject,
        "--best-balanced-accuracy": arguments.best_balanced_accuracy or None,
    }
    return next((name for name, value in values.items() if value is not None), "")


def check_training(arguments: argparse.Namespace, recipe: Recipe) -> None:
    """Raise RecipeError where the preset, or the anomalies that are learnt from, can't be had with the rest."""
    rule_of(arguments)
    check_odd_rate(arguments)
    check_parts_per_false_alarm(arguments)
    rule = named_rule(arguments)
    if rule and recipe.fixed_threshold is not None:
        raise RecipeError(
            f"preset {recipe.name} has a fixed threshold of {recipe.fixed_threshold:g}, so {rule} is for other presets"
        )
    if arguments.anomalies != "real" and not recipe.takes_synthetic_anomalies:
        raise RecipeError(
            f"preset {recipe.name} learns from real anomalies only, so --anomalies {arguments.anomalies} is for other "
            "presets"
        )
    if arguments.command == "curve" and min(arguments.defects) < recipe.inner_folds:
        raise RecipeError(
            f"--defects {min(arguments.defects)} is too few: preset {recipe.name} divides them into "
            f"{recipe.inner_folds} folds"
        )
    if arguments.anomalies == "synthetic":
        if arguments.max_miss is not None:
            raise RecipeError(
                "--max-miss can't be kept for real defects by synthetic ones; label some, and use evaluate "
                "--recalibrate --max-miss"
            )
        if arguments.command == "curve":
            raise RecipeError("--anomalies synthetic learns from no real defect, so their number changes nothing")


def check_evaluation(arguments: argparse.Namespace) -> None:
    """Raise RecipeError for arguments that choose or divide nothing without --recalibrate."""
    rule_of(arguments)
    check_odd_rate(arguments)
    check_parts_per_false_alarm(arguments)
    if arguments.parts_per_false_alarm is not None and not arguments.recalibrate:
        raise RecipeError("--parts-per-false-alarm chooses new limits of drift: it needs --recalibrate")
    if arguments.odd_rate is not None and not arguments.recalibrate:
        raise RecipeError("--odd-rate chooses new limits of the gate: it needs --recalibrate")
    if arguments.sign is not None and not arguments.recalibrate:
        raise RecipeError("--sign signs a new version: it needs --recalibrate")
    if (rule := named_rule(arguments)) and not arguments.recalibrate:
        raise RecipeError(f"{rule} chooses new thresholds: it needs --recalibrate")
    if arguments.group is not None and not arguments.recalibrate:
        raise RecipeError("--group keeps parts together where thresholds are chosen: it needs --recalibrate")


def check_error_bounds(rule: Rule, defects: int, goods: int) -> None:
    """Raise ErrorBoundError now, not after training, where so few images can't carry the rule's limits."""
    if not isinstance(rule, ErrorRateLimits):
        return
    if rule.max_miss is not None:
        max_errors(rule.max_miss, defects, "miss rate")
    if rule.max_false_reject is not None:
        max_errors(rule.max_false_reject, goods, "false-reject rate")


def check_error_bounds_of_folds(
    rule: Rule, samples: Sequence[Sample], training_parts: Sequence[Sequence[Sample]]
) -> None:
    """Raise ErrorBoundError where the samples, or a fold's training part that thresholds are chosen on, are too few."""
    check_error_bounds(rule, *_counts(samples))
    try:
        for part in training_parts:
            check_error_bounds(rule, *_counts(part))
    except ErrorBoundError as error:
        raise ErrorBoundError(f"{error} besides those held out to measure what the thresholds do") from None


def _counts(samples: Sequence[Sample]) -> tuple[int, int]:
    """Numbers of defective and of good images."""
    defects = sum(sample.is_anomaly for sample in samples)
    return defects, len(samples) - defects
