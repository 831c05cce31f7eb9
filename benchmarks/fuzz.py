"""Mutated images, bodies and headers against a real process: no 5xx, no hang, memory flat.

    python -m benchmarks.fuzz --cases 100000

The same seed and number make the same request (`--first N --cases 1` sends it alone). What fails is kept in run/fuzz/.
"""

import argparse
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

from tests.support.artifacts import publish
from tests.support.fuzzing import FLAGS, Outcome, fuzz
from tests.support.mutations import KINDS, case
from tests.support.process import ROOT, served

GROWTH: Final = 1.05
"""How much more memory than in the first two tenths there may be at the end."""
LOGGED: Final = re.compile(r" (WARNING|ERROR|CRITICAL) |^Traceback")
"""What the service itself complains of."""


def table(outcomes: list[Outcome]) -> str:
    """Cases by kind and status."""
    statuses = sorted({outcome.status for outcome in outcomes})
    counts = Counter((outcome.kind, outcome.status) for outcome in outcomes)
    rows = [["kind", *(str(status or "closed") for status in statuses)]]
    rows += [[kind, *(f"{counts[kind, status]:,}" for status in statuses)] for kind in KINDS]
    return "\n".join(f"{row[0]:10}" + "".join(f"{cell:>9}" for cell in row[1:]) for row in rows)


def keep(seed: int, failures: list[Outcome]) -> None:
    """Write down the requests, and say what was wrong."""
    folder = ROOT / "run" / "fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    for failure in failures[:100]:
        path = folder / f"{failure.number}.http"
        path.write_bytes(case(seed, failure.number).data)
        print(f"case {failure.number} ({failure.kind}): {failure.failure}; kept as {path}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    tenth = max(1, arguments.cases // 10)
    outcomes: list[Outcome] = []
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        publish(Path(folder), "capsule", onnx=True)
        with served(Path(folder), *FLAGS) as server:
            server.wait_until_ready()
            sizes = [server.resident_megabytes()]
            for number in range(arguments.first, arguments.first + arguments.cases, tenth):
                outcomes += fuzz(server, arguments.seed, range(number, number + tenth))
                sizes.append(server.resident_megabytes())
                print(f"{len(outcomes):,} cases, {sizes[-1]:.0f} MB", file=sys.stderr)
        log = [line for line in server.lines if " INFO " not in line]
    failures = [outcome for outcome in outcomes if outcome.failure]
    keep(arguments.seed, failures)
    print(*log[:20], sep="", end="")
    print(table(outcomes))
    slowest = max(outcome.seconds for outcome in outcomes)
    print(
        f"{len(outcomes):,} cases in {time.perf_counter() - began:.0f} s, the slowest {slowest:.2f} s; {len(failures)} "
        f"failed; {len(log)} lines of warning in the log; resident MB at the start and after every tenth: "
        + ", ".join(f"{size:.0f}" for size in sizes)
    )
    own = [line for line in log if LOGGED.search(line)]  # libtiff writes lines of its own on broken images
    return 0 if not failures and not own and sizes[-1] <= GROWTH * max(sizes[:3]) else 1


if __name__ == "__main__":
    sys.exit(main())
