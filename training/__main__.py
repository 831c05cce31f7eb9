"""The command line of training: fit, crossval, curve, evaluate, report, weights."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model.engines.devices import choose_device
from model.errors import CamspectorError
from model.store import Store
from training.cli import parse
from training.progress import Reporter

if TYPE_CHECKING:  # the heavy modules are imported by the command that needs them, so that --help answers at once
    from training.data.dataset import Dataset
    from training.data.splits import Split
    from training.estimators.estimator import Learner
    from training.evaluation.post_processing import Method
    from training.evaluation.thresholds import Rule
    from training.features.imagenet import Trunk
    from training.recipe import Recipe


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0, or 1 with a clear error on standard error, or 130 after Ctrl-C."""
    chosen = parse(arguments)
    try:
        COMMANDS[chosen.command](chosen, Reporter())
    except CamspectorError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    return 0


def _fit(chosen: argparse.Namespace, reporter: Reporter) -> None:
    from training.evaluation.evaluate import results
    from training.fit import fit
    from training.learning_curve import read_curve
    from training.report.results import write_results

    store = Store(chosen.store)
    curve = read_curve(chosen.curve) if chosen.curve else None
    task = _task(chosen, reporter)
    store.check_writable(chosen.model)
    trunk, learner, method = _prepared(chosen, task, reporter, store.root / chosen.model)
    fitted = fit(learner, task.found, trunk, task.recipe, method, store, chosen.model, reporter, curve)
    if chosen.json:
        write_results(chosen.json, {**results(fitted), "seconds": reporter.seconds}, fitted.predictions)


def _crossval(chosen: argparse.Namespace, reporter: Reporter) -> None:
    from training.cross_validation import cross_validate, summary
    from training.evaluation.figures import table
    from training.report.reporting import report_of_training
    from training.report.results import write_results

    task = _task(chosen, reporter)
    _, learner, method = _prepared(chosen, task, reporter)
    result = cross_validate(learner, task.splits, task.recipe, method, reporter)
    reporter.line(table(result.pooled))
    if chosen.report:
        report_of_training(
            chosen.report,
            model=chosen.data.resolve().name,
            about="a cross-validation: how good a model that learns from such images will be; none was exported",
            found=task.found,
            recipe=task.recipe,
            method=method,
            predictions=result.predictions,
            figures=result.pooled,
            seconds=reporter.seconds,
        )
    if chosen.json:
        write_results(
            chosen.json, summary(result, task.found, task.recipe, method, reporter.seconds), result.predictions
        )


def _curve(chosen: argparse.Namespace, reporter: Reporter) -> None:
    from training.cli_validation import check_promise
    from training.learning_curve import MEMBER, choose_draws, learning_curve
    from training.recipe import as_dict
    from training.report.results import write_results

    task = _task(chosen, reporter)
    check_promise(task.rule, min(chosen.defects), len(task.found.samples))
    choose_draws(task.found.samples, task.recipe, chosen.defects, chosen.draws)
    _, learner, method = _prepared(chosen, task, reporter)
    points = learning_curve(learner, task.recipe, method, chosen.defects, chosen.draws, reporter)
    if chosen.json:
        write_results(chosen.json, {"recipe": as_dict(task.recipe), MEMBER: points}, [])


def _evaluate(chosen: argparse.Namespace, reporter: Reporter) -> None:
    from model.artifact import read_artifact
    from training.cli_validation import check_evaluation, rule_of
    from training.data.loading import load_dataset
    from training.evaluation.evaluate import evaluate, results
    from training.evaluation.figures import table
    from training.export.disk_space import check_room_for_copy
    from training.recalibrate import plan, rethreshold
    from training.report.reporting import copy_report, report_of_evaluation
    from training.report.results import check_places, write_results

    check_evaluation(chosen)
    check_places(chosen.json, chosen.report)
    store = Store(chosen.store)
    path = store.path(chosen.model, chosen.version)
    found = load_dataset(chosen.data, group=chosen.group, sample=None, seed=0, reporter=reporter)
    if chosen.rethreshold:
        method = plan(read_artifact(path).manifest, found, rule_of(chosen), chosen.defect_rate)
        store.check_writable(chosen.model)
        check_room_for_copy(path)
    evaluation = evaluate(path, found, choose_device(chosen.device), reporter, chosen.defect_rate)
    reporter.line(table(evaluation.figures))
    if chosen.rethreshold:
        evaluation = rethreshold(evaluation, found, method, store, reporter)
        reporter.line(f"\nversion {evaluation.version.name} has new thresholds:\n{table(evaluation.figures)}")
        for warning in evaluation.warnings:
            reporter.line(f"warning: {warning}")
    if chosen.report:
        if chosen.rethreshold:
            copy_report(evaluation.version, chosen.report)
        else:
            report_of_evaluation(chosen.report, evaluation, found, reporter.seconds)
    if chosen.json:
        write_results(chosen.json, results(evaluation), evaluation.predictions)


def _report(chosen: argparse.Namespace, reporter: Reporter) -> None:
    from training.cli_validation import check_defect_rate
    from training.data.loading import load_dataset
    from training.evaluation.evaluate import evaluate
    from training.report.reporting import report_of_evaluation
    from training.report.results import check_places

    check_defect_rate(chosen)
    check_places(None, chosen.out)
    path = Store(chosen.store).path(chosen.model, chosen.version)
    found = load_dataset(chosen.data, group=None, sample=None, seed=0, reporter=reporter)
    evaluation = evaluate(path, found, choose_device(chosen.device), reporter, chosen.defect_rate)
    report_of_evaluation(chosen.out, evaluation, found, reporter.seconds)
    reporter.line(f"look at it: {chosen.out / 'report.html'}")


def _weights(chosen: argparse.Namespace, reporter: Reporter) -> None:
    from training.features.imagenet import imagenet_trunk

    imagenet_trunk(chosen.weights, say=reporter.line)


@dataclass(frozen=True)
class _Task:
    """What is to be done with which images."""

    recipe: "Recipe"
    rule: "Rule"
    found: "Dataset"
    splits: "Sequence[Split]"
    """Whose training parts choose thresholds by which the test parts are judged."""


def _task(chosen: argparse.Namespace, reporter: Reporter) -> _Task:
    """Everything that can be wrong is said here, before anything is trained."""
    from training.cli_validation import check_promise_of_parts, check_training, default_rule, rule_of
    from training.data.loading import load_dataset
    from training.recipe import read_recipe
    from training.report.results import check_places

    recipe = read_recipe(chosen.preset, seed=chosen.seed)
    check_training(chosen, recipe)
    check_places(chosen.json, getattr(chosen, "report", None))
    found = load_dataset(chosen.data, group=chosen.group, sample=chosen.sample, seed=recipe.seed, reporter=reporter)
    rule = rule_of(chosen) or default_rule(chosen.anomalies, found.samples)
    splits = _splits(chosen, recipe, found)
    check_promise_of_parts(rule, found.samples, [[found.samples[i] for i in split.train] for split in splits])
    return _Task(recipe, rule, found, splits)


def _splits(chosen: argparse.Namespace, recipe: "Recipe", found: "Dataset") -> "list[Split]":
    from training.data.splits import hold_out, make_folds
    from training.data.training_set import available
    from training.pipeline import check_split
    from training.recipe import Published

    if chosen.command != "fit":
        folds = chosen.folds if chosen.command == "crossval" else chosen.draws
        splits = make_folds(found.samples, folds, recipe.seed)
        if chosen.anomalies != "synthetic":
            for split in splits:
                check_split(found.samples, split, recipe)
        return splits
    if isinstance(recipe, Published):
        check_split(found.samples, split := hold_out(found.samples, recipe.held_out, recipe.seed), recipe)
        return [split]
    if available(chosen.anomalies, found.samples) == "synthetic":
        return []  # its anomalies are made from good images
    return make_folds(found.samples, recipe.inner_folds, recipe.seed)


def _prepared(
    chosen: argparse.Namespace, task: _Task, reporter: Reporter, home: Path | None = None
) -> "tuple[Trunk, Learner, Method]":
    """`home`: where a version will be written."""
    from training.estimators.estimator import prepare
    from training.export.disk_space import check_room
    from training.features.imagenet import imagenet_trunk
    from training.pipeline import method_of

    check_room(task.recipe, task.found.samples, chosen.anomalies, home)
    use_masks = chosen.masks == "auto"
    trunk = imagenet_trunk(chosen.weights, say=reporter.line)
    device = choose_device(chosen.device)
    learner = prepare(task.found, trunk, task.recipe, device, reporter, anomalies=chosen.anomalies, use_masks=use_masks)
    method = method_of(task.recipe, learner.material, task.rule, defect_rate=chosen.defect_rate, use_masks=use_masks)
    return trunk, learner, method


COMMANDS = {
    "fit": _fit,
    "crossval": _crossval,
    "curve": _curve,
    "evaluate": _evaluate,
    "report": _report,
    "weights": _weights,
}

if __name__ == "__main__":
    sys.exit(main())
