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
    from training.estimators.estimator import PreparedEstimator
    from training.evaluation.thresholds import Rule
    from training.recipe import Recipe
    from training.training_run import TrainingRun


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0, or 1 with a clear error on standard error, or 130 after Ctrl-C."""
    arguments = parse(argv)
    try:
        COMMANDS[arguments.command](arguments, Reporter())
    except CamspectorError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    return 0


def _fit(arguments: argparse.Namespace, reporter: Reporter) -> None:
    from training.evaluation.evaluate import results
    from training.fit import fit
    from training.learning_curve import read_curve
    from training.report.results import write_results

    store = Store(arguments.store)
    curve = read_curve(arguments.curve) if arguments.curve else None
    task = _task(arguments, reporter)
    store.check_writable(arguments.model)
    run, estimator = _prepared(arguments, task, reporter, store.root / arguments.model)
    fitted = fit(estimator, run, store, arguments.model, curve)
    if arguments.json:
        write_results(arguments.json, {**results(fitted), "seconds": reporter.seconds}, fitted.predictions)


def _crossval(arguments: argparse.Namespace, reporter: Reporter) -> None:
    from training.cross_validation import cross_validate, summary
    from training.evaluation.figures import table
    from training.report.builders import run_report
    from training.report.results import write_results
    from training.report.writer import write_report

    task = _task(arguments, reporter)
    run, estimator = _prepared(arguments, task, reporter)
    result = cross_validate(estimator, task.splits, run)
    reporter.line(table(result.pooled))
    if arguments.report:
        about = "a cross-validation: how good a model that learns from such images will be; none was exported"
        report = run_report(run, arguments.data.resolve().name, about, result.predictions, result.pooled)
        write_report(arguments.report, report)
    if arguments.json:
        write_results(arguments.json, summary(result, run), result.predictions)


def _curve(arguments: argparse.Namespace, reporter: Reporter) -> None:
    from training.cli_validation import check_promise
    from training.learning_curve import MEMBER, choose_draws, learning_curve
    from training.recipe import as_dict
    from training.report.results import write_results

    task = _task(arguments, reporter)
    check_promise(task.rule, min(arguments.defects), len(task.dataset.samples))
    choose_draws(task.dataset.samples, task.recipe, arguments.defects, arguments.draws)
    run, estimator = _prepared(arguments, task, reporter)
    points = learning_curve(estimator, run, arguments.defects, arguments.draws)
    if arguments.json:
        write_results(arguments.json, {"recipe": as_dict(task.recipe), MEMBER: points}, [])


def _evaluate(arguments: argparse.Namespace, reporter: Reporter) -> None:
    from model.artifact import read_artifact
    from training.cli_validation import check_evaluation, rule_of
    from training.data.loading import load_dataset
    from training.evaluation.evaluate import evaluate, results
    from training.evaluation.figures import table
    from training.export.disk_space import check_room_for_copy
    from training.recalibrate import choose_method, recalibrate
    from training.report.builders import write_evaluation_report
    from training.report.results import check_writable, write_results
    from training.report.writer import copy_report

    check_evaluation(arguments)
    check_writable(arguments.json, arguments.report)
    store = Store(arguments.store)
    path = store.path(arguments.model, arguments.version)
    dataset = load_dataset(arguments.data, group=arguments.group, sample=None, seed=0, reporter=reporter)
    if arguments.recalibrate:
        method = choose_method(read_artifact(path).manifest, dataset, rule_of(arguments), arguments.defect_rate)
        store.check_writable(arguments.model)
        check_room_for_copy(path)
    evaluation = evaluate(path, dataset, choose_device(arguments.device), reporter, arguments.defect_rate)
    reporter.line(table(evaluation.figures))
    if arguments.recalibrate:
        evaluation = recalibrate(evaluation, dataset, method, store, reporter)
        reporter.line(f"\nversion {evaluation.version.name} has new thresholds:\n{table(evaluation.figures)}")
        for warning in evaluation.warnings:
            reporter.line(f"warning: {warning}")
    if arguments.report:
        if arguments.recalibrate:
            copy_report(evaluation.version, arguments.report)
        else:
            write_evaluation_report(arguments.report, evaluation, dataset, reporter.seconds)
    if arguments.json:
        write_results(arguments.json, results(evaluation), evaluation.predictions)


def _report(arguments: argparse.Namespace, reporter: Reporter) -> None:
    from training.cli_validation import check_defect_rate
    from training.data.loading import load_dataset
    from training.evaluation.evaluate import evaluate
    from training.report.builders import write_evaluation_report
    from training.report.results import check_writable

    check_defect_rate(arguments)
    check_writable(None, arguments.out)
    path = Store(arguments.store).path(arguments.model, arguments.version)
    dataset = load_dataset(arguments.data, group=None, sample=None, seed=0, reporter=reporter)
    evaluation = evaluate(path, dataset, choose_device(arguments.device), reporter, arguments.defect_rate)
    write_evaluation_report(arguments.out, evaluation, dataset, reporter.seconds)
    reporter.line(f"look at it: {arguments.out / 'report.html'}")


def _weights(arguments: argparse.Namespace, reporter: Reporter) -> None:
    from training.features.imagenet import imagenet_trunk

    imagenet_trunk(arguments.weights, say=reporter.line)


@dataclass(frozen=True)
class _Task:
    """What is to be learnt from which images."""

    recipe: "Recipe"
    rule: "Rule"
    dataset: "Dataset"
    splits: "Sequence[Split]"
    """Divisions of the images by whose training parts thresholds are chosen; crossval's are its folds."""


def _task(arguments: argparse.Namespace, reporter: Reporter) -> _Task:
    """Check everything that can be wrong, before anything is trained."""
    from training.cli_validation import check_promise_of_parts, check_training, default_rule, rule_of
    from training.data.loading import load_dataset
    from training.recipe import read_recipe
    from training.report.results import check_writable

    recipe = read_recipe(arguments.preset, seed=arguments.seed)
    check_training(arguments, recipe)
    check_writable(arguments.json, getattr(arguments, "report", None))
    dataset = load_dataset(
        arguments.data, group=arguments.group, sample=arguments.sample, seed=recipe.seed, reporter=reporter
    )
    rule = rule_of(arguments) or default_rule(arguments.anomalies, dataset.samples)
    splits = _splits(arguments, recipe, dataset)
    check_promise_of_parts(rule, dataset.samples, [[dataset.samples[i] for i in split.train] for split in splits])
    return _Task(recipe, rule, dataset, splits)


def _splits(arguments: argparse.Namespace, recipe: "Recipe", dataset: "Dataset") -> "list[Split]":
    from training.data.splits import make_folds
    from training.estimators.registry import estimator_for

    estimator = estimator_for(recipe)
    if arguments.command == "fit":
        return estimator.splits(dataset.samples, arguments.anomalies)
    folds = arguments.folds if arguments.command == "crossval" else arguments.draws
    splits = make_folds(dataset.samples, folds, recipe.seed)
    if arguments.anomalies != "synthetic":
        for split in splits:
            estimator.check_fold(dataset.samples, split)
    return splits


def _prepared(
    arguments: argparse.Namespace, task: _Task, reporter: Reporter, version_folder: Path | None = None
) -> "tuple[TrainingRun, PreparedEstimator]":
    """The run, and its estimator with the features of every image. `version_folder`: where a version will be written,
    if one will."""
    from training.estimators.registry import estimator_for
    from training.export.disk_space import check_room
    from training.features.imagenet import imagenet_trunk
    from training.training_run import TrainingRun

    check_room(task.recipe, task.dataset.samples, arguments.anomalies, version_folder)
    estimator = estimator_for(task.recipe)
    run = TrainingRun(
        dataset=task.dataset,
        recipe=task.recipe,
        method=estimator.method(
            task.dataset.samples,
            task.rule,
            defect_rate=arguments.defect_rate,
            use_masks=arguments.masks == "auto",
        ),
        trunk=imagenet_trunk(arguments.weights, say=reporter.line),
        reporter=reporter,
        device=choose_device(arguments.device),
        anomalies=arguments.anomalies,
    )
    return run, estimator.prepare(run)


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
