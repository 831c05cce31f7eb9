"""python -m examples.draw: two products to try everything on, with defects and masks."""

import argparse
import sys
from pathlib import Path

from examples.draw import PRODUCTS, draw
from model.errors import CamspectorError
from training.cli_arguments import at_least
from training.progress import Reporter


def main(arguments: list[str] | None = None) -> int:
    """Draw, and print the folders; 0, or 1 with a clear error on standard error, or 130 after Ctrl-C."""
    chosen = parse(arguments)
    products = chosen.product or PRODUCTS
    reporter = Reporter()
    try:
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
    except CamspectorError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    for folder in folders:
        reporter.line(str(folder))
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """--help and mistakes raise SystemExit."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.draw",
        description="Draw two products to try everything on, with defects and masks.",
        epilog="example: python -m examples.draw --out drawn --product carpet",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="each product gets a folder in it")
    parser.add_argument("--product", action="append", choices=PRODUCTS, help="only this one (repeatable)")
    parser.add_argument("--good", type=at_least(1), default=120, help="good images of each product (default 120)")
    parser.add_argument("--defective", type=at_least(1), default=60, help="defective images of each (default 60)")
    parser.add_argument("--size", type=at_least(64), default=256, help="side of an image in pixels (default 256)")
    parser.add_argument("--seed", type=at_least(0), default=0, help="the same seed draws the same (default 0)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
