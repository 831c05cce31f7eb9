import argparse
from pathlib import Path

import pytest

from model.errors import ErrorBoundError, RecipeError
from tests.training.conftest import tiny_fine_tuning, tiny_patches
from training.cli_validation import (
    check_error_bounds,
    check_error_bounds_of_folds,
    check_evaluation,
    check_training,
    default_rule,
    named_rule,
    rule_of,
)
from training.data.samples import Sample
from training.data.training_set import Anomalies
from training.evaluation.thresholds import BestBalancedAccuracy, ErrorRateLimits, Fixed, LeastCost, Rule
from training.recipe import Recipe


def chosen(**arguments: object) -> argparse.Namespace:
    usual = {
        "miss_cost": None,
        "max_miss": None,
        "max_false_reject": None,
        "best_balanced_accuracy": False,
        "defect_rate": None,
    }
    return argparse.Namespace(**usual | arguments)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({}, None),
        ({"miss_cost": 3.0}, LeastCost(3)),
        ({"best_balanced_accuracy": True}, BestBalancedAccuracy()),
        ({"max_miss": 0.02}, ErrorRateLimits(0.02, None)),
        ({"max_miss": 0.02, "max_false_reject": 0.01}, ErrorRateLimits(0.02, 0.01)),
        ({"max_false_reject": 0.01, "defect_rate": 0.02}, ErrorRateLimits(None, 0.01)),
    ],
)
def test_the_rule_is_the_one_that_was_asked_for(arguments: dict[str, object], rule: Rule | None) -> None:
    assert rule_of(chosen(**arguments)) == rule


@pytest.mark.parametrize(
    ("anomalies", "defects", "rule"),
    [
        ("real", 1, LeastCost(10)),
        ("both", 1, LeastCost(10)),
        ("both", 0, BestBalancedAccuracy()),
        ("synthetic", 0, BestBalancedAccuracy()),
        ("synthetic", 1, BestBalancedAccuracy()),
    ],
)
def test_no_cost_is_weighed_by_synthetic_anomalies_where_none_is_named(
    anomalies: Anomalies, defects: int, rule: Rule
) -> None:
    samples = [Sample(Path("a"), "a", kind) for kind in ["good", *["crack"] * defects]]
    assert default_rule(anomalies, samples) == rule


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"miss_cost": 3.0, "best_balanced_accuracy": True}, "choose one of --miss-cost"),
        ({"miss_cost": 3.0, "max_miss": 0.1}, "choose one of"),
        ({"max_false_reject": 0.1, "best_balanced_accuracy": True}, "choose one of"),
        ({"miss_cost": 0.0}, "above 0 false rejects, not 0"),
        ({"miss_cost": float("nan")}, "above 0 false rejects, not nan"),
        ({"max_miss": 0.0}, "between 0 and 1, not 0"),
        ({"max_false_reject": 1.0}, "between 0 and 1, not 1"),
        ({"defect_rate": 0.0}, "--defect-rate must lie between 0 and 1, not 0"),
        ({"defect_rate": 1.0}, "--defect-rate"),
        ({"defect_rate": float("nan")}, "--defect-rate"),
    ],
)
def test_what_makes_no_sense_is_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        rule_of(chosen(**arguments))


@pytest.mark.parametrize(
    "rule", [LeastCost(), BestBalancedAccuracy(), Fixed(), ErrorRateLimits(0.1, 0.1), ErrorRateLimits(None, 0.05)]
)
def test_what_the_images_can_carry_passes(rule: Rule) -> None:
    check_error_bounds(rule, 40, 60)


@pytest.mark.parametrize(
    ("rule", "message"),
    [(ErrorRateLimits(0.05), "miss rate.*59.*40"), (ErrorRateLimits(0.1, 0.03), "false-reject rate.*99.*60")],
)
def test_an_error_bound_that_takes_more_images_is_refused_before_training(rule: Rule, message: str) -> None:
    with pytest.raises(ErrorBoundError, match=message):
        check_error_bounds(rule, 40, 60)


# What goes together


def asked(**arguments: object) -> argparse.Namespace:
    return chosen(
        **{
            "anomalies": "real", "command": "fit", "recalibrate": False, "defects": [5, 10], "group": None,
            "odd_rate": None, "parts_per_false_alarm": None, "sign": None,
        } | arguments
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({}, ""),
        ({"miss_cost": 0.0}, "--miss-cost"),
        ({"max_miss": 0.1, "max_false_reject": 0.1}, "--max-miss"),
        ({"best_balanced_accuracy": True}, "--best-balanced-accuracy"),
    ],
)
def test_the_argument_that_names_a_rule(arguments: dict[str, object], name: str) -> None:
    assert named_rule(asked(**arguments)) == name


@pytest.mark.parametrize(
    ("recipe", "arguments"),
    [
        (tiny_fine_tuning(), {"defect_rate": 0.1}),
        (tiny_patches(), {"max_miss": 0.1, "anomalies": "both"}),
        (tiny_patches(), {"max_false_reject": 0.1, "anomalies": "synthetic"}),
        (tiny_patches(), {"anomalies": "both", "command": "curve"}),
    ],
)
def test_what_goes_together_passes(recipe: Recipe, arguments: dict[str, object]) -> None:
    check_training(asked(**arguments), recipe)


@pytest.mark.parametrize(
    ("recipe", "arguments", "message"),
    [
        (
            tiny_fine_tuning(),
            {"miss_cost": 3.0},
            "preset own has a fixed threshold of 0.5, so --miss-cost is for other",
        ),
        (tiny_fine_tuning(), {"anomalies": "both"}, "preset own learns from real anomalies only"),
        (tiny_patches(), {"anomalies": "synthetic", "max_miss": 0.1}, "--max-miss can't be kept for real defects"),
        (tiny_patches(), {"anomalies": "synthetic", "command": "curve"}, "learns from no real defect"),
    ],
)
def test_what_does_not_is_named(recipe: Recipe, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        check_training(asked(**arguments), recipe)


def test_a_rule_for_a_version_needs_recalibrate() -> None:
    check_evaluation(asked())
    check_evaluation(asked(max_miss=0.1, recalibrate=True))
    with pytest.raises(RecipeError, match="--max-miss chooses new thresholds: it needs --recalibrate"):
        check_evaluation(asked(max_miss=0.1))
    with pytest.raises(RecipeError, match="--odd-rate chooses new limits of the gate: it needs --recalibrate"):
        check_evaluation(asked(odd_rate=0.01))
    with pytest.raises(RecipeError, match=r"--odd-rate must lie between 0 and 1, not 1\.5"):
        check_evaluation(asked(odd_rate=1.5, recalibrate=True))
    with pytest.raises(RecipeError, match="--parts-per-false-alarm chooses new limits of drift: it needs --recal"):
        check_evaluation(asked(parts_per_false_alarm=1000))


@pytest.mark.parametrize(("parts", "named"), [(0, "0"), (99, "99"), (1_000_000_001, "1,000,000,001")])
def test_a_false_alarm_in_too_few_or_too_many_parts_is_refused(parts: int, named: str) -> None:
    message = f"--parts-per-false-alarm must lie between 100 and 1,000,000,000, not {named}"
    with pytest.raises(RecipeError, match=message):
        check_evaluation(asked(parts_per_false_alarm=parts, recalibrate=True))
    with pytest.raises(RecipeError, match=message):
        check_training(asked(parts_per_false_alarm=parts), tiny_patches())


def test_every_part_that_chooses_must_have_enough_images() -> None:
    samples = [Sample(Path("x"), "x", kind) for kind in ["dent"] * 62 + ["good"] * 10]
    check_error_bounds_of_folds(ErrorRateLimits(0.05), samples, [samples[:60], samples[2:]])
    with pytest.raises(ErrorBoundError, match=r"miss rate.*58.* besides those held out to measure"):
        check_error_bounds_of_folds(ErrorRateLimits(0.05), samples, [samples[4:]])
    with pytest.raises(ErrorBoundError, match=r"miss rate.*10\D*$"):
        check_error_bounds_of_folds(ErrorRateLimits(0.05), samples[52:], [])
