"""`pull` of many versions, broken off again and again, and from a hub with a byte changed in each of them.

    python -m benchmarks.pull [--versions 200] [--interruptions 30]

Half of the interruptions are SIGKILL, half a hub that breaks off in the middle of an answer, and of every later one;
they come after random numbers of answers. After each, every version that is there is held against the hub's, byte for
byte. Then a random byte of a random file of each version at the hub is changed, of sums and signatures too, and an
empty station pulls: nothing may come, and each version's reason must name the file, or the signature.
"""

import argparse
import filecmp
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Final

from model.artifact import SUMS, complete_sums
from model.signatures import SIGNATURE, SigningKey
from tests.support.artifacts import publish
from tests.support.http_index import HttpIndex, http_index
from tests.support.process import ROOT
from tests.support.signing import key_files

_MODEL: Final = "bolt"


def fill(hub: Path, versions: int, key: SigningKey) -> None:
    """So many signed versions; they differ in their reports."""
    first = publish(hub, _MODEL)
    for number in range(2, versions + 1):
        shutil.copytree(first, first.with_name(str(number)), copy_function=os.link)
    for version in first.parent.iterdir():
        (version / "report").mkdir()
        (version / "report" / "report.html").write_text(f"<!doctype html><title>{version.name}</title>")
        replaced(version / SUMS, (version / SUMS).read_bytes())
        complete_sums(version)
        key.sign(version)


def replaced(path: Path, content: bytes) -> None:
    """A file of its own: other versions have links to the same."""
    path.unlink()
    path.write_bytes(content)


def same(here: Path, there: Path) -> bool:
    files = sorted(path.relative_to(there) for path in there.rglob("*") if path.is_file())
    if files != sorted(path.relative_to(here) for path in here.rglob("*") if path.is_file()):
        return False
    return all(filecmp.cmp(here / file, there / file, shallow=False) for file in files)


def whole(store: Path, hub: Path) -> tuple[int, int]:
    """Versions that are there, and those of them that aren't the hub's."""
    home = store / _MODEL
    there = [path for path in home.iterdir() if path.name.isdigit()] if home.exists() else []
    return len(there), sum(not same(version, hub / _MODEL / version.name) for version in there)


def pull(index: HttpIndex, store: Path, public: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "app", "pull", "--from", index.url, "--store", str(store)]
    return subprocess.Popen(
        [*command, "--trusted-keys", str(public)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def interrupt(index: HttpIndex, store: Path, public: Path, most: int, *, kill: bool) -> None:
    """After a random number of answers, at most so many."""
    left, reached = random.randint(1, most), threading.Event()

    def count(_: str) -> bool:
        nonlocal left
        left -= 1
        if left < 0:
            reached.set()
        return left < 0 and not kill

    index.cut = count
    process = pull(index, store, public)
    if kill:
        while not reached.wait(0.02) and process.poll() is None:
            pass
        process.send_signal(signal.SIGKILL)
    process.communicate()
    index.cut = lambda _: False


def tampered(hub: Path) -> dict[str, tuple[Path, bytes]]:
    """A byte of one file of each version, changed; what it was before, by version."""
    before = {}
    for version in (hub / _MODEL).iterdir():
        path = random.choice([path for path in sorted(version.rglob("*")) if path.is_file()])
        content = path.read_bytes()
        at = random.randrange(len(content))
        replaced(path, content[:at] + bytes([content[at] ^ 1 << random.randrange(8)]) + content[at + 1 :])
        before[version.name] = (path, content)
    return before


def unnamed(said: str, changed: dict[str, tuple[Path, bytes]]) -> list[str]:
    """Versions of which nothing was said that names what is wrong with them."""
    lines = dict(re.findall(r"(?m)version (\d+) of model .* isn't taken: (.*)$", said))

    def names(number: str, path: Path) -> bool:
        what = "signature" if path.name in (SUMS, SIGNATURE) else path.name
        return what in lines.get(number, "")

    return [f"{number} ({path.name})" for number, (path, _) in changed.items() if not names(number, path)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--versions", type=int, default=200)
    parser.add_argument("--interruptions", type=int, default=30)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, http_index(Path(name) / "hub") as index:
        folder = Path(name)
        hub, store, (private, public) = folder / "hub", folder / "store", key_files(folder)
        fill(hub, chosen.versions, SigningKey.read(private))
        files = sum(path.is_file() for path in hub.rglob("*"))
        broken, began = 0, time.monotonic()
        for number in range(chosen.interruptions):
            interrupt(index, store, public, max(1, 2 * files // chosen.interruptions), kill=number % 2 == 0)
            broken += whole(store, hub)[1]
        after = whole(store, hub)[0]
        last = pull(index, store, public)
        last.communicate()
        there, others = whole(store, hub)
        print(f"{chosen.versions} versions, {files} files, {chosen.interruptions} interruptions, the last at {after}")
        print(f"broken versions seen: {broken + others}; there at the end: {there}; exit status {last.returncode}")
        print(f"{time.monotonic() - began:.0f} s")

        changed, empty = tampered(hub), folder / "empty"
        kinds = Counter(path.name for path, _ in changed.values())
        process = pull(index, empty, public)
        _, said = process.communicate()
        print(
            f"a byte changed in each of {len(changed)}: {', '.join(f'{kind} {n}' for kind, n in sorted(kinds.items()))}"
        )
        print(f"taken: {whole(empty, hub)[0]}; not named: {unnamed(said, changed)}; exit status {process.returncode}")
        for path, content in changed.values():
            replaced(path, content)
        process = pull(index, empty, public)
        process.communicate()
        print(f"mended: {whole(empty, hub)} (versions, and those that differ); exit status {process.returncode}")


if __name__ == "__main__":
    main()
