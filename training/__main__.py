"""python -m training: fit, crossval, curve, evaluate, report, draw, weights."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model.engines.devices import choose_device
from model.errors import CamspectorError
from model.store import Store
from training.arguments import parse
from training.progress import Reporter

if TYPE_CHECKING:  # the heavy modules are imported by the command that needs them, so that --help answers at once
    from training.imagenet import Trunk
    from training.judge import Method
    from training.learner import Learner
    from training.recipe import Recipe
    from training.split import Split
    from training.survey import Survey
    from training.thresholds import Rule


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0, or 1 with a clear error on standard error, or 130 after Ctrl-C."""
    chosen = parse(arguments)
    try:
        _COMMANDS[chosen.command](chosen, Reporter())
    except CamspectorError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    return 0


def _fit(chosen: argparse.Namespace, reporter: Reporter) -> None:
    from training.curve import read_curve
    from training.evaluate import summary
    from training.fit import fit
    from training.results import write_results

    store = Store(chosen.store)
    curve = read_curve(chosen.curve) if chosen.curve else None
    task = _task(chosen, reporter)
    store.check_writable(chosen.model)
    trunk, learner, method = _prepared(chosen, task, reporter, store.root / chosen.model)
    fitted = fit(learner, task.found, trunk, task.recipe, method, store, chosen.model, reporter, curve)
    if chosen.json:
        write_results(chosen.json, {**summary(fitted), "seconds": reporter.seconds}, fitted.predictions)


def _crossval(chosen: argparse.Namespace, reporter: Reporter) -> None:
    from training.crossval import cross_validate, summary
    from training.figures import table
    from training.reporting import report_of_training
    from training.results import write_results

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
    from training.choice import check_promise
    from training.curve import MEMBER, choose_draws, learning_curve
    from training.recipe import as_dict
    from training.results import write_results

    task = _task(chosen, reporter)
    check_promise(task.rule, min(chosen.defects), len(task.found.samples))
    choose_draws(task.found.samples, task.recipe, chosen.defects, chosen.draws)
    _, learner, method = _prepared(chosen, task, reporter)
    points = learning_curve(learner, task.recipe, method, chosen.defects, chosen.draws, reporter)
    if chosen.json:
        write_results(chosen.json, {"recipe": as_dict(task.recipe), MEMBER: points}, [])


def _evaluate(chosen: argparse.Namespace, reporter: Reporter) -> None:
    from model.artifact import read_artifact
    from training.choice import check_evaluation, rule_of
    from training.evaluate import evaluate, summary
    from training.figures import table
    from training.reading import read_data
    from training.reporting import copy_report, report_of_evaluation
    from training.results import check_places, write_results
    from training.rethreshold import plan, rethreshold
    from training.room import check_room_for_copy

    check_evaluation(chosen)
    check_places(chosen.json, chosen.report)
    store = Store(chosen.store)
    path = store.path(chosen.model, chosen.version)
    found = read_data(chosen.data, group=chosen.group, sample=None, seed=0, reporter=reporter)
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
        write_results(chosen.json, summary(evaluation), evaluation.predictions)


def _report(chosen: argparse.Namespace, reporter: Reporter) -> None:
    from training.choice import check_defect_rate
    from training.evaluate import evaluate
    from training.reading import read_data
    from training.reporting import report_of_evaluation
    from training.results import check_places

    check_defect_rate(chosen)
    check_places(None, chosen.out)
    path = Store(chosen.store).path(chosen.model, chosen.version)
    found = read_data(chosen.data, group=None, sample=None, seed=0, reporter=reporter)
    evaluation = evaluate(path, found, choose_device(chosen.device), reporter, chosen.defect_rate)
    report_of_evaluation(chosen.out, evaluation, found, reporter.seconds)
    reporter.line(f"look at it: {chosen.out / 'report.html'}")


def _draw(chosen: argparse.Namespace, reporter: Reporter) -> None:
    from training.draw import PRODUCTS, draw

    products = chosen.product or PRODUCTS
    with reporter.task("drawing", len(products) * (chosen.good + chosen.defective)) as advance:
        folders = draw(
            chosen.out,
            products=products,
            good=chosen.good,
            defective=chosen.defective,
            size=chosen.size,
            seed=chosen.seed,
            advance=advance,
        )
    for folder in folders:
        reporter.line(str(folder))


def _weights(chosen: argparse.Namespace, reporter: Reporter) -> None:
    from training.imagenet import imagenet_trunk

    imagenet_trunk(chosen.weights, say=reporter.line)


@dataclass(frozen=True)
class _Task:
    """What is to be done with which images."""

    recipe: "Recipe"
    rule: "Rule"
    found: "Survey"
    splits: "Sequence[Split]"
    """Whose training parts choose thresholds by which the test parts are judged."""


def _task(chosen: argparse.Namespace, reporter: Reporter) -> _Task:
    """Everything that can be wrong is said here, before anything is trained."""
    from training.choice import check_promise_of_parts, check_training, default_rule, rule_of
    from training.reading import read_data
    from training.recipe import read_recipe
    from training.results import check_places

    recipe = read_recipe(chosen.preset, seed=chosen.seed)
    check_training(chosen, recipe)
    check_places(chosen.json, getattr(chosen, "report", None))
    found = read_data(chosen.data, group=chosen.group, sample=chosen.sample, seed=recipe.seed, reporter=reporter)
    rule = rule_of(chosen) or default_rule(chosen.anomalies, found.samples)
    splits = _splits(chosen, recipe, found)
    check_promise_of_parts(rule, found.samples, [[found.samples[i] for i in split.train] for split in splits])
    return _Task(recipe, rule, found, splits)


def _splits(chosen: argparse.Namespace, recipe: "Recipe", found: "Survey") -> "list[Split]":
    from training.material import available
    from training.procedure import check_split
    from training.recipe import Published
    from training.split import hold_out, make_folds

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
    from training.imagenet import imagenet_trunk
    from training.learner import prepare
    from training.procedure import method_of
    from training.room import check_room

    check_room(task.recipe, task.found.samples, chosen.anomalies, home)
    use_masks = chosen.masks == "auto"
    trunk = imagenet_trunk(chosen.weights, say=reporter.line)
    device = choose_device(chosen.device)
    learner = prepare(task.found, trunk, task.recipe, device, reporter, anomalies=chosen.anomalies, use_masks=use_masks)
    method = method_of(task.recipe, learner.material, task.rule, defect_rate=chosen.defect_rate, use_masks=use_masks)
    return trunk, learner, method


_COMMANDS = {
    "fit": _fit,
    "crossval": _crossval,
    "curve": _curve,
    "evaluate": _evaluate,
    "report": _report,
    "draw": _draw,
    "weights": _weights,
}

if __name__ == "__main__":
    sys.exit(main())
