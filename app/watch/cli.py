"""The arguments of `watch`."""

import argparse
from pathlib import Path

from app.score.cli import add_inspector, seconds
from model.program import program


def watch_arguments(flags: list[str]) -> argparse.Namespace:
    """--help and wrong flags raise SystemExit."""
    parser = argparse.ArgumentParser(
        prog=f"{program('app')} watch",
        description="Inspect the images that are written into a folder, each once, and sort them by decision.",
        epilog="It runs until SIGTERM or Ctrl-C, and goes on where it was when it is started again.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder, with all below it")
    parser.add_argument("--out", type=Path, required=True, help="log of the inspections: a name in .csv or .jsonl")
    for decision in ("accept", "reject", "review"):
        parser.add_argument(f"--{decision}", type=Path, metavar="DIR", help=f"{decision}: the image goes there")
    parser.add_argument("--copy", action="store_true", help="let the images stay, too")
    parser.add_argument(
        "--settle-seconds",
        type=seconds(0),
        default=2.0,
        help="so long must a file stand still to be whole; 0 where files are renamed in (default: %(default)s)",
    )
    parser.add_argument(
        "--poll-seconds", type=seconds(0), default=0.5, help="how often the folder is looked at (default: %(default)s)"
    )
    parser.add_argument("--ledger", type=Path, help="file that knows what was inspected; without: beside --out")
    add_inspector(parser)
    return parser.parse_args(flags)
