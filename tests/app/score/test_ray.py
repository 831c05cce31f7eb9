"""`score --ray` on a cluster of two nodes: the rows of one process, whatever dies meanwhile."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.artifacts import publish
from tests.support.images import encoded
from tests.support.process import PATIENCE, ROOT
from tests.support.ray_cluster import ENVIRONMENT, RayNodes, ray_nodes


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayNodes]:
    with ray_nodes() as nodes:
        yield nodes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store; and parts, a tenth of which are no images."""
    folder = tmp_path_factory.mktemp("ray")
    publish(folder / "store", onnx=True)
    (folder / "parts" / "lot 7").mkdir(parents=True)
    for number in range(200):
        name = f"{'lot 7/' if number % 3 else ''}Stück {number:03}.png"
        (folder / "parts" / name).write_bytes(encoded(seed=number % 7, size=64 + number) if number % 10 else b"none")
    return folder


def command(folder: Path, out: str, *arguments: str) -> list[str]:
    """With paths that are relative to the current folder, which workers must make theirs."""
    (folder / out).unlink(missing_ok=True)
    start = [sys.executable, "-m", "app", "score", "parts", "--store", "store", "--device", "cpu", "--out", out]
    return [*start, "--heatmaps", f"maps-{out}", *arguments]


def run(command: list[str], folder: Path) -> subprocess.Popen[str]:
    environment = os.environ | ENVIRONMENT | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def end(process: subprocess.Popen[str]) -> str:
    """What it has said, having missed the 20 that are no images."""
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, said
    assert "without a verdict: 20 unsupported-format" in said, said
    return said


@pytest.fixture(scope="module")
def whole(folder: Path) -> bytes:
    """The table of one process without Ray."""
    end(run(command(folder, "whole.jsonl"), folder))
    return (folder / "whole.jsonl").read_bytes()


def until(process: subprocess.Popen[str], folder: Path, out: str, rows: int) -> None:
    journal = folder / f".{out}.part"
    give_up = time.monotonic() + PATIENCE
    while (journal.read_bytes().count(b"\n") if journal.exists() else 0) <= rows:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up
        time.sleep(0.005)


def heatmaps(folder: Path, out: str) -> dict[str, bytes]:
    home = folder / f"maps-{out}"
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def test_what_was_stopped_with_ray_goes_on_without(nodes: RayNodes, folder: Path, whole: bytes) -> None:
    """One journal, one meaning of its rows."""
    out = "resumed.jsonl"
    started = run(command(folder, out, "--ray", nodes.address), folder)
    until(started, folder, out, 30)
    started.kill()
    started.communicate()
    end(run(command(folder, out, "--resume"), folder))
    assert (folder / out).read_bytes().replace(b"maps-resumed", b"maps-whole") == whole


def test_a_worker_and_then_a_node_die(nodes: RayNodes, folder: Path, whole: bytes) -> None:
    """The last test of these nodes: every file has one row, the same as by one process, in the same order."""
    out = "died.jsonl"
    process = run(command(folder, out, "--ray", nodes.address), folder)
    until(process, folder, out, 20)
    nodes.kill_an_actor("RayWorker")
    until(process, folder, out, 60)
    nodes.kill_second()
    end(process)
    assert (folder / out).read_bytes() == whole
    assert heatmaps(folder, out) == heatmaps(folder, "whole.jsonl")
    assert whole.count(b"\n") == 200
