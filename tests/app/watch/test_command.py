"""`python -m app watch`, with writers that write in pieces, and killed again and again."""

import csv
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from app.__main__ import main
from tests.support.artifacts import publish
from tests.support.images import encoded
from tests.support.process import PATIENCE, ROOT

FILES = 60


def write(folder: Path) -> None:
    """In bursts; some in pieces, some renamed in, some over a temporary name."""
    draw = random.Random(1)
    for number in range(FILES):
        image, path = encoded(seed=number % 5), folder / f"{number:03}.png"
        if number % 2:
            with path.open("wb", buffering=0) as file:
                for begin in range(0, len(image), len(image) // 3):
                    file.write(image[begin : begin + len(image) // 3])
                    time.sleep(0.05)
        else:
            draft = path.with_suffix(".png.part")
            draft.write_bytes(image)
            draft.rename(path)
        if draw.random() < 0.2:
            time.sleep(0.3)


def test_each_file_once(tmp_path: Path) -> None:
    publish(tmp_path / "store", onnx=True)
    for name in ("in", "accept", "reject", "review"):
        (tmp_path / name).mkdir()
    flags = [f"--{name}={tmp_path / name}" for name in ("accept", "reject", "review")]
    flags += ["--store", str(tmp_path / "store"), "--out", str(tmp_path / "log.csv"), "--settle-seconds", "1"]
    command = [sys.executable, "-m", "app", "watch", str(tmp_path / "in"), *flags, "--poll-seconds", "0.1"]
    writer = threading.Thread(target=write, args=[tmp_path / "in"])
    writer.start()
    give_up, lines, kills = time.monotonic() + PATIENCE, 0, 0
    while lines < FILES:
        assert time.monotonic() < give_up, lines
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        target = min(FILES, lines + 1 + FILES // 4)
        while lines < target and process.poll() is None and time.monotonic() < give_up:
            lines = (tmp_path / "log.csv").read_bytes().count(b"\n") - 1 if (tmp_path / "log.csv").exists() else 0
            time.sleep(0.01)
        kills += lines < FILES
        process.send_signal(signal.SIGKILL if lines < FILES else signal.SIGTERM)
        assert process.wait(PATIENCE) == (-9 if lines < FILES else 0)
    writer.join()
    assert kills >= 2
    names = [f"{number:03}.png" for number in range(FILES)]
    with (tmp_path / "log.csv").open(newline="") as file:
        rows = [*csv.DictReader(file)]
    assert Counter(Path(row["file"]).name for row in rows) == Counter(names)
    assert {row["error"] for row in rows} == {""}  # none early
    assert [*(tmp_path / "in").iterdir()] == []
    assert sorted(path.name for name in ("accept", "reject", "review") for path in (tmp_path / name).iterdir()) == names
    assert all(Path(row["destination"]).is_file() for row in rows)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nowhere", "--out", "v.csv"], "nowhere is no folder"),
        ([".", "--out", "v.parquet"], r"must end in \.csv or \.jsonl"),
        ([".", "--out", "v.csv", "--reject", "nowhere"], "--reject nowhere is no folder"),
        ([".", "--out", "v.csv", "--review", "."], "they would be inspected again"),
        ([".", "--out", "nowhere/v.csv"], "the ledger .* can't be used"),
        ([".", "--out", "v.csv", "--model", "gizmo"], "no model 'gizmo'"),
    ],
)
def test_called_wrongly(
    arguments: list[str], reason: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAMSPECTOR_STORE", str(store))
    assert main(["watch", *arguments]) == 2
    assert re.search(reason, capsys.readouterr().err)
