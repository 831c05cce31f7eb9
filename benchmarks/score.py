"""`score` against the bare engine; against HTTP, member by member; and killed at random moments and resumed.

    python -m benchmarks.score --version run/store/carpet/1 [--images 2000] [--rounds 4] [--equal 500] [--kills 20]

The bare engine has pixels in memory, and no decoding. Rounds are interleaved: one of the engine, one of `score` over
its share of the images (1000² JPEG); ratios are of the same round. Rates of `score` are its own, without loading the
model.
"""

import argparse
import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

import httpx

from benchmarks.images import camera_image
from benchmarks.machine import report
from benchmarks.service import bare
from model.detector import load_detector
from tests.support.process import PATIENCE, ROOT, served

_DISTINCT: Final = 20
_FORMS: Final = ("PNG", "JPEG", "BMP", "WEBP")
_VARYING: Final = ("heatmap", "inference_id", "part_id", "timing_ms")


def fill(folder: Path, count: int, forms: tuple[str, ...], size: int) -> Path:
    """So many files, links to some that differ."""
    kinds = [forms[number % len(forms)] for number in range(_DISTINCT)]
    images = [camera_image(form, size, seed) for seed, form in enumerate(kinds)]
    folder.mkdir()
    for number in range(count):
        path = folder / f"{number:06}.{kinds[number % _DISTINCT].lower()}"
        if number < _DISTINCT:
            path.write_bytes(images[number])
        else:
            path.hardlink_to(folder / f"{number % _DISTINCT:06}.{kinds[number % _DISTINCT].lower()}")
    return folder


def command(version: Path, out: Path, *paths: Path) -> list[str]:
    store, model = version.parent.parent, version.parent.name
    flags = ["--store", str(store), "--model", model, "--version", version.name, "--out", str(out)]
    return [sys.executable, "-m", "app", "score", *map(str, paths), *flags]


def rates(version: Path, folder: Path, rounds: int) -> list[dict[str, object]]:
    """A row for each round, and their median."""
    detector = load_detector(version, "cpu")
    paths = sorted(folder.iterdir())
    rows: list[dict[str, object]] = []
    shares: list[float] = []
    for number in range(rounds):
        share = paths[number::rounds]
        engine, _ = bare(detector, 10.0)
        out = folder.parent / f"round{number}.csv"
        run = subprocess.run(command(version, out, *share), cwd=ROOT, capture_output=True, text=True, check=True)
        found = re.search(r"([\d.]+) files a second; (.*)", run.stdout)
        assert found, run.stdout
        score = float(found[1])
        shares.append(score / engine)
        rows.append({"bare": f"{engine:.1f}", "score": f"{score:.1f}", "share": f"{shares[-1]:.1%}", "steps": found[2]})
    return [*rows, {"bare": "", "score": "median", "share": f"{median(shares):.1%}", "steps": ""}]


def unequal(version: Path, folder: Path) -> int:
    """Files whose row isn't what HTTP answers, in any member."""
    out = folder.parent / "equal.jsonl"
    subprocess.run(command(version, out, folder), cwd=ROOT, capture_output=True, check=True)
    address = f"/v1/models/{version.parent.name}/versions/{version.name}/predict"
    found = 0
    with served(version.parent.parent) as server, httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        server.wait_until_loaded(version.parent.name, int(version.name))
        for row in map(json.loads, out.read_text().splitlines()):
            reply: dict[str, Any] = client.post(address, content=Path(row["file"]).read_bytes()).json()
            answer = {name: member for name, member in reply.items() if name not in _VARYING}
            found += row != {"file": row["file"], **answer}
    return found


def differing(version: Path, folder: Path, kills: int) -> int:
    """Of so many runs, each killed at a random moment and resumed, those with another file than an unbroken run."""
    whole, out = folder.parent / "whole.csv", folder.parent / "killed.csv"
    began = time.monotonic()
    subprocess.run(command(version, whole, folder), cwd=ROOT, capture_output=True, check=True)
    longest, found = time.monotonic() - began, 0
    for _ in range(kills):
        process = subprocess.Popen(command(version, out, folder), cwd=ROOT, stdout=subprocess.DEVNULL)
        time.sleep(random.uniform(0, longest))
        process.send_signal(signal.SIGKILL)
        process.wait()
        subprocess.run([*command(version, out, folder), "--resume"], cwd=ROOT, capture_output=True, check=True)
        found += out.read_bytes() != whole.read_bytes()
        out.unlink()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", type=Path, required=True, help="a version's folder in a store")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--equal", type=int, default=500, help="images of four formats held against HTTP")
    parser.add_argument("--kills", type=int, default=20)
    chosen = parser.parse_args()
    version = chosen.version.resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if chosen.images:
            images = fill(folder / "jpeg", chosen.images, ("JPEG",), 1000)
            report("Images a second", rates(version, images, chosen.rounds), None)
        formats = fill(folder / "formats", chosen.equal, _FORMS, 512)
        print(f"\n{unequal(version, formats)} of {chosen.equal} rows aren't what HTTP answers")
        if chosen.kills:
            print(f"{differing(version, formats, chosen.kills)} of {chosen.kills} killed and resumed runs differ")


if __name__ == "__main__":
    main()
