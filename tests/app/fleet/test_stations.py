"""Two stations, each a service and a `pull` of its own, as processes: versions come while parts are inspected."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import httpx

from model.artifact import ONNX, complete_sums
from model.signatures import SigningKey
from tests.support.artifacts import publish
from tests.support.http_index import http_index
from tests.support.images import encoded
from tests.support.process import PATIENCE, ROOT, Server, served
from tests.support.signing import key_files

WHOLE = {"1", "2", "3"}


@dataclass
class Station:
    """A service, and a line that sends it parts without a pause."""

    root: Path
    server: Server
    trusted: Path
    answers: list[tuple[int, int]] = field(default_factory=list)
    """Status and version of every part."""
    over: threading.Event = field(default_factory=threading.Event)

    def inspect(self) -> None:
        with httpx.Client(base_url=self.server.url, timeout=PATIENCE) as client:
            while not self.over.is_set():
                reply = client.post("/v1/models/bolt/predict?heatmap=none", content=encoded())
                self.answers.append((reply.status_code, reply.json().get("model_version", 0)))
                time.sleep(0.2)

    def pull(self, url: str) -> tuple[int, str]:
        """Exit status, and what it said."""
        command = [sys.executable, "-m", "app", "pull", "--from", url, "--store", str(self.root)]
        run = subprocess.run(
            [*command, "--trusted-keys", str(self.trusted)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return run.returncode, run.stderr

    def versions(self) -> set[str]:
        return {path.name for path in (self.root / "bolt").iterdir() if path.is_dir() and path.name.isdigit()}

    def follow(self, version: int) -> None:
        """Until parts are inspected by it."""
        give_up = time.monotonic() + PATIENCE
        while self.answers[-1:] != [(200, version)]:
            assert time.monotonic() < give_up, (version, self.answers[-1:], self.server.log())
            time.sleep(0.2)


def train(folder: Path, private: Path, hub: Path, slope: float) -> None:
    """One more signed version, and pushed."""
    version = publish(folder, "bolt", slope=slope, onnx=True)
    complete_sums(version)
    SigningKey.read(private).sign(version)
    push = [sys.executable, "-m", "app", "push", "--store", str(folder), "--to", str(hub)]
    subprocess.run(push, cwd=ROOT, check=True)


def in_order(station: Station) -> list[int]:
    """Versions as they served, one after the other."""
    return [version for version, _ in groupby(version for _, version in station.answers)]


@contextmanager
def station(root: Path, url: str, trusted: Path) -> Iterator[Station]:
    """From the first version that it pulls on."""
    flags = ["--trusted-keys", str(trusted), "--station", root.name, "--store-poll-seconds", "0.2"]
    root.mkdir()
    with served(root, *flags, "--deadline-ms", "60000") as server:
        found = Station(root, server, trusted)
        line = threading.Thread(target=found.inspect)
        try:
            assert found.pull(url)[0] == 0
            server.wait_until_ready()
            line.start()
            yield found
        finally:
            found.over.set()
            if line.ident:
                line.join()


def test_two_stations_follow_a_hub_while_they_inspect(tmp_path: Path) -> None:
    trainer, hub, (private, public) = tmp_path / "trainer", tmp_path / "hub", key_files(tmp_path)
    train(trainer, private, hub, 10.0)
    with (
        http_index(hub) as index,
        station(tmp_path / "cell-1", index.url, public) as first,
        station(tmp_path / "cell-2", index.url, public) as second,
    ):
        for each in (first, second):
            each.follow(1)

        train(trainer, private, hub, 5.0)
        index.cut_once(ONNX)
        status, said = first.pull(index.url)
        assert (status, first.versions()) == (1, {"1"})
        assert f"version 2 of model 'bolt' isn't taken: {index.url}/bolt/2/{ONNX}" in said
        (second.root / "bolt" / "serving.json").write_text('{"version": 1}')  # pinned here alone
        for each in (first, second):
            assert each.pull(index.url)[0] == 0
            assert each.versions() == {"1", "2"}
        first.follow(2)

        train(trainer, private, hub, 2.0)
        file = hub / "bolt" / "3" / ONNX
        whole = file.read_bytes()
        file.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
        for each in (first, second):
            status, said = each.pull(index.url)
            assert (status, each.versions()) == (1, {"1", "2"})
            assert f"version 3 of model 'bolt' isn't taken: {ONNX} is not the file that was exported" in said
        file.write_bytes(whole)
        for each in (first, second):
            assert each.pull(index.url)[0] == 0
            assert each.versions() == WHOLE
        first.follow(3)

        for each in (first, second):
            metrics = httpx.get(f"{each.server.url}/metrics", timeout=PATIENCE).text
            assert f'camspector_service_info{{line="",station="{each.root.name}"' in metrics
        (first.root / "bolt" / "serving.json").write_text('{"version": 1}')  # rolled back
        first.follow(1)
        (second.root / "bolt" / "serving.json").unlink()  # no pin any more
        second.follow(3)

    for each in (first, second):
        assert {status for status, _ in each.answers} == {200}
        assert each.versions() == WHOLE
    assert in_order(first) == [1, 2, 3, 1]
    assert in_order(second) == [1, 3]
