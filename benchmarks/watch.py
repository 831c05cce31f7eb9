"""`watch` against writers in bursts and in pieces, killed (SIGKILL) and started again: is each file inspected once?

    python -m benchmarks.watch [--files 5000] [--kills 10]

Half of the files are written in three pieces with pauses, half under a temporary name and renamed. Counted are lines of
the log and files in the decisions' folders; a file that was taken early has an error in its line, being cut short.
"""

import argparse
import csv
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Final

from tests.support.artifacts import publish
from tests.support.images import encoded
from tests.support.process import ROOT

_DECISIONS: Final = ("accept", "review", "reject")
_BURST: Final = 50


def write(folder: Path, numbers: range) -> None:
    """One writer's files."""
    images = [encoded(seed=seed) for seed in range(10)]
    for number in numbers:
        image, path = images[number % 10], folder / f"{number:06}.png"
        if number % 2:
            with path.open("wb", buffering=0) as file:
                for part in range(3):
                    file.write(image[part * len(image) // 3 : (part + 1) * len(image) // 3])
                    time.sleep(random.uniform(0, 0.2))
        else:
            path.with_suffix(".png.part").write_bytes(image)
            path.with_suffix(".png.part").rename(path)
        if number % _BURST < 4:
            time.sleep(random.uniform(0, 1))


def lines(log: Path) -> int:
    return max(0, log.read_bytes().count(b"\n") - 1) if log.exists() else 0


def run(folder: Path, files: int, kills: int) -> float:
    """Until every file has a line; returns the seconds."""
    decisions = [f"--{name}={folder / name}" for name in _DECISIONS]
    flags = ["--store", str(folder / "store"), "--out", str(folder / "log.csv"), "--settle-seconds", "1"]
    command = [sys.executable, "-m", "app", "watch", str(folder / "in"), *flags, *decisions]
    writers = [threading.Thread(target=write, args=[folder / "in", range(first, files, 4)]) for first in range(4)]
    began = time.monotonic()
    for writer in writers:
        writer.start()
    for number in range(kills + 1):
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        target = files if number == kills else files * (number + 1) // (kills + 1)
        while lines(folder / "log.csv") < target and process.poll() is None:
            time.sleep(0.05)
        time.sleep(random.uniform(0, 0.5))
        process.send_signal(signal.SIGTERM if number == kills else signal.SIGKILL)
        process.wait()
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=10)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        publish(folder / "store", onnx=True)
        for each in ("in", *_DECISIONS):
            (folder / each).mkdir()
        seconds = run(folder, chosen.files, chosen.kills)
        with (folder / "log.csv").open(newline="") as file:
            rows = [*csv.DictReader(file)]
        logged = Counter(Path(row["file"]).name for row in rows)
        sorted_away = Counter(path.name for each in _DECISIONS for path in (folder / each).iterdir())
        wanted = {f"{number:06}.png" for number in range(chosen.files)}
        print(f"{chosen.files} files in {seconds:.0f} s, {chosen.kills} kills")
        for what, found in (("lines", logged), ("sorted files", sorted_away)):
            twice = sum(count > 1 for count in found.values())
            print(f"{what}: {len(wanted - found.keys())} missing, {twice} twice, {len(found.keys() - wanted)} others")
        print(f"taken early: {sum(row['error'] != '' for row in rows)}")


if __name__ == "__main__":
    main()
