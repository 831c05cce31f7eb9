"""Files elsewhere: the same files, names in order, bytes and errors as in a folder here."""

import io
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest

from app.__main__ import main
from app.score.errors import NoVerdictError, StoppedError, UsageError
from app.score.files import check_paths, files, read_image
from app.score.heatmaps import heatmap_path
from app.score.progress import Total
from tests.support.images import encoded

NO_LIST = io.BytesIO()
NAMES = ("parts/b.png", "parts/a.jpg", "parts/lot 7/1.png", "parts/parts/2.png", "parts/.hidden", "parts/c.png.part")
WANTED = ("a.jpg", "b.png", "lot 7/1.png", "parts/2.png")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def http(tmp_path: Path) -> Iterator[str]:
    """A server of the folder, which lists it as web servers do."""
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(encoded("JPEG" if name.endswith("jpg") else "PNG"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def memory() -> Iterator[Any]:
    """A store of objects that has no folders of its own."""
    system = fsspec.filesystem("memory")
    for name in NAMES:
        system.pipe_file(f"/{name}", b"0123456789")
    yield system
    system.rm("/parts", recursive=True)


def test_a_folder_of_a_web_server(http: str) -> None:
    found = [*files([f"{http}/parts/"], NO_LIST)]
    assert found == [f"{http}/parts/{name.replace(' ', '%20')}" for name in WANTED]
    assert [read_image(file)[:4] for file in found[:2]] == [b"\xff\xd8\xff\xe0", b"\x89PNG"]


def test_a_folder_of_a_store_of_objects(memory: Any) -> None:
    wanted = [f"memory://parts/{name}" for name in WANTED]
    assert [*files(["memory://parts"], NO_LIST)] == [*files(["memory://parts/"], NO_LIST)] == wanted
    assert [*files(["memory://parts/*.png", "memory://parts/a.jpg"], NO_LIST)] == [wanted[1], wanted[0]]
    assert [*files(["-"], io.BytesIO(b"memory://parts/b.png\n"))] == wanted[1:2]
    assert [*files(["memory://par*"], NO_LIST)] == wanted


def test_of_what_is_too_large_no_more_is_read_than_shows_it(memory: Any) -> None:
    assert read_image("memory://parts/b.png", 10) == b"0123456789"
    assert read_image("memory://parts/b.png", 4) == b"01234"
    with pytest.raises(NoVerdictError, match=r"memory://parts/z\.png can't be read") as raised:
        read_image("memory://parts/z.png", 4)
    assert raised.value.error == "unreadable-file"


def test_what_is_not_there_or_cannot_be_asked(memory: Any, http: str) -> None:
    check_paths(["memory://parts", "memory://parts/b.png", "memory://parts/*.png", f"{http}/parts/b.png"])
    for url in ("memory://nowhere", "memory://parts/*.bmp", f"{http}/nowhere.png", "http://127.0.0.1:1/a.png"):
        with pytest.raises(UsageError, match=r"is not there"):
            check_paths([url])
    with pytest.raises(UsageError, match="nosuch://parts can't be used"):
        check_paths(["nosuch://parts"])


def test_a_folder_that_cannot_be_listed_stops_the_run(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files would be missed; how many there are is then not known either."""

    def ls(path: str, detail: bool = True) -> list[dict[str, Any]]:
        raise ConnectionError("the store doesn't answer")

    monkeypatch.setattr(type(memory), "ls", staticmethod(ls))
    monkeypatch.setattr(type(memory), "isdir", lambda *_: True)
    with pytest.raises(StoppedError, match="memory://parts can't be listed: the store doesn't answer"):
        [*files(["memory://parts"], NO_LIST)]
    total = Total(None)
    total._count(files(["memory://parts"], NO_LIST))
    assert total.files is None


def test_where_heatmaps_of_files_elsewhere_go() -> None:
    assert heatmap_path(Path("maps"), "s3://bucket/lot/a.png") == Path("maps/s3/bucket/lot/a.png.png")


def test_rows_are_those_of_files_here(http: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    common = ["--store", str(store), "--model", "widget", "--device", "cpu", "--out"]
    assert main(["score", f"{http}/parts/", *common, "there.jsonl"]) == 0
    assert main(["score", "parts", *common, "here.jsonl"]) == 0
    here, there = (
        [json.loads(line) for line in Path(name).read_text().splitlines()] for name in ("here.jsonl", "there.jsonl")
    )
    for row in there:
        row["file"] = row["file"].removeprefix(f"{http}/").replace("%20", " ")
    assert here == there
    assert len(here) == len(WANTED)
