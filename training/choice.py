"""The rule that the command line asks for."""

import argparse

from model.errors import RecipeError
from training.promises import most_errors
from training.thresholds import BestBalancedAccuracy, LeastCost, Limits, Rule


def rule_of(chosen: argparse.Namespace) -> Rule:
    """Raises RecipeError where the arguments exclude each other or make no sense."""
    limits = chosen.max_miss is not None or chosen.max_false_reject is not None
    if (chosen.miss_cost is not None) + limits + chosen.best_balanced_accuracy > 1:
        raise RecipeError("choose one of --miss-cost, --best-balanced-accuracy, and limits (--max-miss, …)")
    if chosen.defect_rate is not None and not 0 < chosen.defect_rate < 1:
        raise RecipeError(f"--defect-rate must lie between 0 and 1, not {chosen.defect_rate:g}")
    try:
        if limits:
            return Limits(chosen.max_miss, chosen.max_false_reject)
        if chosen.best_balanced_accuracy:
            return BestBalancedAccuracy()
        return LeastCost() if chosen.miss_cost is None else LeastCost(chosen.miss_cost)
    except ValueError as error:
        raise RecipeError(str(error)) from None


def check_promise(rule: Rule, defects: int, goods: int) -> None:
    """Raise PromiseError now, not after training, where so few images can't carry the rule's promise."""
    if not isinstance(rule, Limits):
        return
    if rule.max_miss is not None:
        most_errors(rule.max_miss, defects, "miss rate")
    if rule.max_false_reject is not None:
        most_errors(rule.max_false_reject, goods, "false-reject rate")
