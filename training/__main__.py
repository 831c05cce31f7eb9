"""python -m training: draw, crossval, fit, evaluate, weights."""

import argparse
import sys
from typing import TYPE_CHECKING

from model.engines.engine import choose_device
from model.errors import CamspectorError
from model.store import Store
from training.arguments import parse
from training.progress import Reporter

if TYPE_CHECKING:  # the heavy modules are imported by the command that needs them, so that --help answers at once
    from training.recipe import Recipe
    from training.survey import Survey
    from training.trial import Prepared


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
    from training.split import hold_out

    store = Store(chosen.store)
    recipe, found = _read(chosen, reporter)
    split = hold_out(found.samples, recipe.held_out, recipe.seed)
    store.check_writable(chosen.model)
    data = _prepared(chosen, recipe, found, reporter)
    fitted = fit(data, split, recipe, store, chosen.model, reporter)
    if chosen.json:
        write_results(chosen.json, {**summary(fitted), "seconds": reporter.seconds}, fitted.predictions)


def _crossval(chosen: argparse.Namespace, reporter: Reporter) -> None:
    from training.crossval import cross_validate, summary
    from training.figures import table
    from training.results import write_results
    from training.split import make_folds

    recipe, found = _read(chosen, reporter)
    splits = make_folds(found.samples, chosen.folds, recipe.seed)
    data = _prepared(chosen, recipe, found, reporter)
    result = cross_validate(data, splits, recipe, reporter)
    reporter.line(table(result.pooled))
    if chosen.json:
        write_results(chosen.json, summary(result, data, recipe, reporter.seconds), result.predictions)


def _evaluate(chosen: argparse.Namespace, reporter: Reporter) -> None:
    from training.evaluate import evaluate, summary
    from training.figures import table
    from training.results import check_place, write_results
    from training.trial import read_data

    check_place(chosen.json)
    path = Store(chosen.store).path(chosen.model, chosen.version)
    found = read_data(chosen.data, group=None, sample=None, seed=0, reporter=reporter)
    evaluation = evaluate(path, found, choose_device(chosen.device), reporter)
    reporter.line(table(evaluation.figures))
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


def _read(chosen: argparse.Namespace, reporter: Reporter) -> "tuple[Recipe, Survey]":
    from training.recipe import read_recipe
    from training.results import check_place
    from training.trial import read_data

    recipe = read_recipe(chosen.preset, seed=chosen.seed)
    check_place(chosen.json)
    return recipe, read_data(chosen.data, group=chosen.group, sample=chosen.sample, seed=recipe.seed, reporter=reporter)


def _prepared(chosen: argparse.Namespace, recipe: "Recipe", found: "Survey", reporter: Reporter) -> "Prepared":
    from training.imagenet import imagenet_trunk
    from training.trial import prepare

    device = choose_device(chosen.device)
    return prepare(found, imagenet_trunk(chosen.weights, say=reporter.line), recipe, device, reporter)


_COMMANDS = {"fit": _fit, "crossval": _crossval, "evaluate": _evaluate, "draw": _draw, "weights": _weights}

if __name__ == "__main__":
    sys.exit(main())
