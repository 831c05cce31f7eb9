"""collect: labelled images of a service, as a folder to train on."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.images import encoded
from training.__main__ import main
from training.collect import GROUP
from training.data.samples import find_samples

KEY = "secret"


class Records:
    """Stands in for a service: its records, two on a page."""

    def __init__(self) -> None:
        self.images: list[bytes] = []
        self.records: list[dict[str, Any]] = []
        self.status = 200

    def add(self, label: str, part_id: str | None, image: bytes, *, kept: bool = True) -> None:
        sha256 = hashlib.sha256(image).hexdigest()
        record: dict[str, Any] = {"inference_id": f"{len(self.images):032x}", "part_id": part_id}
        self.records.append(
            record | {"labelled": {"label": label}, "image": {"sha256": sha256, "bytes": len(image), "kept": kept}}
        )
        self.images.append(image)

    def answer(self, path: str, key: str | None) -> tuple[int, str, bytes]:
        address = urlsplit(path)
        if self.status != 200 or key != f"Bearer {KEY}":
            status = self.status if self.status != 200 else 401
            return status, "application/problem+json", json.dumps({"detail": "so it is"}).encode()
        if address.path.endswith("/image"):
            return 200, "image/png", self.images[int(address.path.split("/")[3], 16)]
        query = parse_qs(address.query)
        assert (query["model"], query["labelled"]) == (["bolt"], ["true"])
        begin = int(query.get("cursor", ["0"])[0])
        page: dict[str, Any] = {"inspections": self.records[begin : begin + 2], "next": None}
        if begin + 2 < len(self.records):
            page["next"] = str(begin + 2)
        return 200, "application/json", json.dumps(page).encode()


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Records, str]]:
    records = Records()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = records.answer(self.path, self.headers["authorization"])
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("INSPECTION_API_KEY", KEY)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield records, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def collected(url: str, out: Path) -> int:
    return main(["collect", "--url", url, "--model", "bolt", "--out", str(out)])


def test_training_takes_it(service: tuple[Records, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every kind, each part together, names of parts that no file could have."""
    records, url = service
    parts = ["lot 7/1_a", "lot 7/1_a", "Stück__2", None, "../../up", "ü" * 127 + "x"]
    for seed, part in enumerate(parts):
        records.add("good" if seed % 2 else "scratch", part, encoded(seed=seed))
    assert collected(url, tmp_path / "new" / "bolt") == 0
    samples = find_samples(tmp_path / "new" / "bolt", group=GROUP)
    assert sorted(sample.kind for sample in samples) == ["good"] * 3 + ["scratch"] * 3
    by_content = {sample.path.read_bytes(): sample for sample in samples}
    found = [by_content[image] for image in records.images]
    assert [sample.kind for sample in found] == ["scratch", "good"] * 3
    assert len({sample.group for sample in found}) == 5
    assert found[0].group == found[1].group
    assert "3 good, 3 scratch" in capsys.readouterr().out


def test_what_is_left_out_is_said(
    service: tuple[Records, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records, url = service
    records.add("good", "1", encoded(seed=1))
    records.add("good", "1", encoded(seed=1))  # twice
    records.add("good", "2", encoded(seed=2))
    records.add("scratch", "2", encoded(seed=2))  # labelled otherwise
    records.add("scratch", "3", encoded(seed=3), kept=False)
    assert collected(url, tmp_path / "bolt") == 0
    (file,) = (tmp_path / "bolt").rglob("*.png")
    assert file.read_bytes() == encoded(seed=1)
    output = capsys.readouterr().out
    assert "labelled good and scratch" in output
    assert "of 1 labelled inspections the image is not kept" in output


def test_nothing_half_is_left(
    service: tuple[Records, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    records, url = service
    assert collected(url, tmp_path / "bolt") == 1
    assert "no labelled image of model 'bolt'" in capsys.readouterr().err
    records.add("good", "1", encoded())
    for status in (401, 404, 503):
        records.status = status
        assert collected(url, tmp_path / "bolt") == 1
        assert f"answered {status}: so it is" in capsys.readouterr().err
    records.status = 200
    monkeypatch.delenv("INSPECTION_API_KEY")
    assert collected(url, tmp_path / "bolt") == 1
    assert "answered 401" in capsys.readouterr().err
    assert collected("http://127.0.0.1:9", tmp_path / "bolt") == 1
    assert "doesn't answer" in capsys.readouterr().err
    assert collected("localhost:8000", tmp_path / "bolt") == 1
    assert "is not the address" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("label", ["../up", "a/b", "", ".git"])
def test_a_label_that_leads_out_of_the_folder_is_refused(
    service: tuple[Records, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], label: str
) -> None:
    records, url = service
    records.add(label, "1", encoded())
    assert collected(url, tmp_path / "bolt") == 1
    assert "no folder's name" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(
    service: tuple[Records, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records, url = service
    records.add("good", "1", encoded())
    (tmp_path / "mine").write_text("of mine")
    assert collected(url, tmp_path) == 1
    assert "is there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
