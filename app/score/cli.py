"""The arguments of `score`, and those that `watch` has, too."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final, get_args

from app.settings import Settings, settings_of
from model.cpus import available_cpus
from model.detector import VariantChoice
from model.engines.devices import DeviceChoice
from model.engines.engine import EngineChoice
from model.program import program

_SETTINGS = ("store", "device", "engine", "variant", "max_bytes", "max_pixels")
_A_DAY: Final = 86_400


def score_arguments(flags: list[str]) -> argparse.Namespace:
    """--help and wrong flags raise SystemExit."""
    parser = argparse.ArgumentParser(
        prog=f"{program('app')} score",
        description="Inspect files, and write a table with a row for each, in their order.",
        epilog="Exit status: 0, every file has a verdict; 1, some have none, or the run was stopped and --resume goes "
        "on with it; 2, nothing was done.",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="files, folders, globs, also s3://… and the like; -: a list on standard input",
    )
    parser.add_argument("--out", type=Path, required=True, help="the table: a name in .csv, .jsonl or .parquet")
    images = parser.add_mutually_exclusive_group()
    images.add_argument("--heatmaps", type=Path, metavar="DIR", help="write each image's heatmap there, as PNG")
    images.add_argument("--overlays", type=Path, metavar="DIR", help="write each image there with its heatmap drawn in")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was ended, if there is one")
    parser.add_argument("--timing", action="store_true", help="with the milliseconds of each step, which vary")
    parser.add_argument(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="let the machines of a Ray cluster inspect; --jobs: of each worker",
    )
    add_inspector(parser)
    parser.set_defaults(jobs=None)
    arguments = parser.parse_args(flags)
    if arguments.ray is not None and arguments.server:
        parser.error("--ray and --server exclude each other")
    if arguments.ray is None and arguments.jobs is None:  # a Ray worker's machine has other CPUs
        arguments.jobs = default_jobs(available_cpus())
    return arguments


def add_inspector(parser: argparse.ArgumentParser) -> None:
    """What inspects: a version of a store in this process, or a service."""
    parser.add_argument("--model", help="name of the model; without: the only one")
    parser.add_argument("--version", type=_positive, help="version of the model; without: the one that serves")
    parser.add_argument(
        "--jobs", type=_positive, default=default_jobs(available_cpus()), help="images worked on at once"
    )
    parser.add_argument("--server", metavar="URL", help="let that service inspect; key: INSPECTION_API_KEY")
    local = parser.add_argument_group("without --server, as the service's settings, which have the same defaults")
    local.add_argument("--store", type=Path, help="folder of models, or one's own")
    local.add_argument("--device", choices=get_args(DeviceChoice), help="where the network runs")
    local.add_argument("--engine", choices=get_args(EngineChoice), help="what runs the network")
    local.add_argument("--variant", choices=get_args(VariantChoice), help="numeric form of the network")
    local.add_argument("--max-bytes", type=_positive, help="largest file, in bytes")
    local.add_argument("--max-pixels", type=_positive, help="largest image, in pixels")


def inspector_settings(arguments: argparse.Namespace) -> Settings:
    """Those arguments over the environment over the service's defaults. Raises ConfigurationError."""
    return settings_of(**{name: value for name in _SETTINGS if (value := getattr(arguments, name)) is not None})


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a whole number of at least 1")
    return int(text)


def seconds(least: float) -> Callable[[str], float]:
    """An argument's type: from so many up to a day's."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not least <= number <= _A_DAY:
            raise argparse.ArgumentTypeError(f"must be a number of seconds from {least:g} to {_A_DAY}")
        return number

    return read


def default_jobs(cpus: int) -> int:
    """Enough that the network never waits: one image in it and one being decoded for each CPU, and two being read."""
    return 2 * cpus + 2
