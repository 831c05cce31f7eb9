"""Time and memory of `fit` by preset, phase by phase.

    python -m benchmarks.training --data run/data/carpet [--presets baseline fast accurate]

Each run is a process of its own, as a user would start it, and writes into a store that is thrown away.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.machine import report
from tests.support.process import ROOT

_PHASE: Final = re.compile(r"^([a-z][a-z 0-9]*): ([0-9.]+) s$", re.MULTILINE)
"""How `training.progress.Reporter` tells of a task that has ended."""


@dataclass(frozen=True)
class Run:
    """One `fit`."""

    phases: dict[str, float]
    """Seconds, in order."""
    seconds: float
    cpu_seconds: float
    megabytes: float
    """The most that was resident."""


def fit(preset: str, data: Path, flags: list[str]) -> Run:
    """Raises SystemExit where training fails."""
    with tempfile.TemporaryDirectory() as store, tempfile.TemporaryFile("w+") as output:
        command = [sys.executable, "-m", "training", "fit", "--preset", preset, "--data", str(data), "--model", "timed"]
        began = time.perf_counter()
        process = subprocess.Popen([*command, "--store", store, *flags], cwd=ROOT, stdout=output, stderr=output)
        _, status, used = os.wait4(process.pid, 0)
        took = time.perf_counter() - began
        output.seek(0)
        text = output.read()
    if status:
        raise SystemExit(f"fit --preset {preset} failed:\n{text}")
    phases = {name: float(seconds) for name, seconds in _PHASE.findall(text)}
    return Run(phases, took, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def main() -> None:
    """Flags that aren't its own are fit's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="images in MVTec AD's layout")
    parser.add_argument("--presets", nargs="+", default=["baseline", "fast", "accurate"])
    parser.add_argument("--json", type=Path, help="folder for the same figures as JSON")
    chosen, flags = parser.parse_known_args()
    rows: list[dict[str, object]] = []
    for preset in chosen.presets:
        run = fit(preset, chosen.data.resolve(), flags)
        rows.append(
            {
                "preset": preset,
                "phases, s": ", ".join(f"{name} {seconds:.0f}" for name, seconds in run.phases.items()),
                "all of the command, s": f"{run.seconds:.0f}",
                "CPU s": f"{run.cpu_seconds:.0f}",
                "peak MB": f"{run.megabytes:.0f}",
            }
        )
    report(f"fit on {chosen.data}", rows, chosen.json and chosen.json / "training.json")


if __name__ == "__main__":
    main()
