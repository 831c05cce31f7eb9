"""python -m training: draw, crossval, fit, curve, evaluate, weights."""

import argparse
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from model.engines.engine import choose_device
from model.errors import CamspectorError
from model.store import Store
from training.arguments import parse
from training.progress import Reporter

if TYPE_CHECKING:  # the heavy modules are imported by the command that needs them, so that --help answers at once
    from training.imagenet import Trunk
    from training.judge import Method
    from training.learner import Learner
    from training.recipe import Recipe
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
    from training.evaluate import summary
    from training.fit import fit
    from training.results import write_results

    store = Store(chosen.store)
    task = _task(chosen, reporter)
    store.check_writable(chosen.model)
    trunk, learner, method = _prepared(chosen, task, reporter)
    fitted = fit(learner, task.found, trunk, task.recipe, method, store, chosen.model, reporter)
    if chosen.json:
        write_results(chosen.json, {**summary(fitted), "seconds": reporter.seconds}, fitted.predictions)


def _crossval(chosen: argparse.Namespace, reporter: Reporter) -> None:
    from training.crossval import cross_validate, summary
    from training.figures import table
    from training.reporting import report_of
    from training.results import write_results
    from training.split import make_folds

    task = _task(chosen, reporter)
    splits = make_folds(task.found.samples, chosen.folds, task.recipe.seed)
    _, learner, method = _prepared(chosen, task, reporter)
    result = cross_validate(learner, splits, task.recipe, method, reporter)
    reporter.line(table(result.pooled))
    if chosen.report:
        report_of(
            chosen.report,
            model=chosen.data.resolve().name,
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
    from training.curve import learning_curve
    from training.recipe import as_dict
    from training.results import write_results

    task = _task(chosen, reporter)
    _, learner, method = _prepared(chosen, task, reporter)
    points = learning_curve(learner, task.recipe, method, chosen.defects, chosen.draws, reporter)
    if chosen.json:
        write_results(chosen.json, {"recipe": as_dict(task.recipe), "learning_curve": points}, [])


def _evaluate(chosen: argparse.Namespace, reporter: Reporter) -> None:
    from training.choice import rule_of
    from training.evaluate import evaluate, summary
    from training.figures import table
    from training.reading import read_data
    from training.results import check_place, write_results
    from training.rethreshold import rethreshold

    check_place(chosen.json)
    store, rule = Store(chosen.store), rule_of(chosen)
    path = store.path(chosen.model, chosen.version)
    found = read_data(chosen.data, group=None, sample=None, seed=0, reporter=reporter)
    evaluation = evaluate(path, found, choose_device(chosen.device), reporter)
    reporter.line(table(evaluation.figures))
    if chosen.rethreshold:
        evaluation = rethreshold(evaluation, found, rule, chosen.defect_rate, store, chosen.model)
        reporter.line(f"\nversion {evaluation.version.name} has new thresholds:\n{table(evaluation.figures)}")
    if chosen.json:
        write_results(chosen.json, summary(evaluation), evaluation.predictions)


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


def _task(chosen: argparse.Namespace, reporter: Reporter) -> _Task:
    from training.choice import check_promise, rule_of
    from training.reading import read_data
    from training.recipe import read_recipe
    from training.results import check_place

    recipe, rule = read_recipe(chosen.preset, seed=chosen.seed), rule_of(chosen)
    check_place(chosen.json)
    found = read_data(chosen.data, group=chosen.group, sample=chosen.sample, seed=recipe.seed, reporter=reporter)
    defects = sum(sample.is_anomaly for sample in found.samples)
    check_promise(rule, defects, len(found.samples) - defects)
    return _Task(recipe, rule, found)


def _prepared(chosen: argparse.Namespace, task: _Task, reporter: Reporter) -> "tuple[Trunk, Learner, Method]":
    from training.imagenet import imagenet_trunk
    from training.learner import prepare
    from training.procedure import method_of

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
    "draw": _draw,
    "weights": _weights,
}

if __name__ == "__main__":
    sys.exit(main())
