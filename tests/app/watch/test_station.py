"""Each file once, whatever ends the process and whatever is full or gone."""

import errno
import os
import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from app.score.errors import NoVerdictError
from app.score.row import Row
from app.watch.destinations import Destinations
from app.watch.folder import WatchedFolder
from app.watch.ledger import Ledger
from app.watch.log_file import write_line
from app.watch.station import Station


class KilledError(BaseException):
    """Ends the process, as far as the station can tell."""


class Maker:
    """Decides by what is in the file: its first word."""

    def __init__(self) -> None:
        self.inspected: list[bytes] = []

    async def __call__(self, path: str) -> Row:
        content = Path(path).read_bytes()
        self.inspected.append(content)
        if content.startswith(b"none"):
            return Row.of_error(path, NoVerdictError("undecodable-image", "none"))
        return Row(path, {"decision": content.split()[0].decode()})


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


def station(root: Path, executor: ThreadPoolExecutor, maker: Maker, ledger: Ledger, *, copy: bool = False) -> Station:
    for name in ("in", "accept", "reject", "review"):
        (root / name).mkdir(exist_ok=True)
    folders = {name: root / name for name in ("accept", "reject", "review")}

    def line(row: Row, _: str, destination: str | None) -> bytes:
        return f"{os.path.basename(row.file)} {row.decision} {destination and os.path.basename(destination)}\n".encode()

    folder = WatchedFolder(root / "in", 0.0)
    destinations = Destinations(folders, copy)
    return Station(folder, ledger, destinations, root / "log", b"HEAD\n", line, cast(Any, maker), executor, 2)


def content(root: Path) -> dict[str, list[str]]:
    """Names by folder."""
    return {each.name: sorted(path.name for path in each.iterdir()) for each in sorted(root.iterdir()) if each.is_dir()}


@pytest.mark.anyio
async def test_sorted_by_decision(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    maker = Maker()
    with closing(Ledger(tmp_path / "ledger")) as ledger:
        watching = station(tmp_path, executor, maker, ledger)
        for name, text in {"a": "accept", "b": "reject", "c": "review", "d": "none"}.items():
            (tmp_path / "in" / name).write_text(text)
            os.utime(tmp_path / "in" / name, (ord(name), ord(name)))
        assert [await watching.round(), await watching.round()] == [4, 0]
        (tmp_path / "in" / "a").write_text("accept")  # the next part, under the same name
        assert await watching.round() == 1
    assert content(tmp_path) == {"accept": ["a", "a-2"], "in": [], "reject": ["b"], "review": ["c", "d"]}
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines == ["HEAD", "a accept a", "b reject b", "c review c", "d None d", "a accept a-2"]


@pytest.mark.anyio
async def test_a_file_that_changes_while_it_is_inspected_is_inspected_again(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    class Slow(Maker):
        async def __call__(self, path: str) -> Row:
            row = await super().__call__(path)
            if len(self.inspected) == 1:
                Path(path).write_text("reject and more")
            return row

    maker = Slow()
    with closing(Ledger(tmp_path / "ledger")) as ledger:
        watching = station(tmp_path, executor, maker, ledger)
        (tmp_path / "in" / "a").write_text("accept")
        assert [await watching.round(), await watching.round()] == [0, 1]
    assert content(tmp_path)["reject"] == ["a"]
    assert (tmp_path / "log").read_text() == "HEAD\na reject a\n"


@pytest.mark.anyio
@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("seed", range(6))
async def test_ended_at_any_call(
    seed: int, copy: bool, tmp_path: Path, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before or after any step that leaves something behind, again and again."""
    draw, left = random.Random(seed), [0]

    def deadly(call: Any) -> Any:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            before = draw.random() < 0.5
            left[0] -= 1
            if left[0] == 0 and before:
                raise KilledError
            result = call(*arguments, **named)
            if left[0] == 0:
                raise KilledError
            return result

        return wrapped

    monkeypatch.setattr("app.watch.station.write_line", deadly(write_line))
    for owner, name in ((Ledger, "add"), (Ledger, "update"), (Destinations, "send")):
        monkeypatch.setattr(owner, name, deadly(getattr(owner, name)))
    (tmp_path / "in").mkdir()
    for number in range(12):
        (tmp_path / "in" / f"{number:02}").write_text(draw.choice(["accept", "reject", "none"]))
    for _ in range(200):
        with closing(Ledger(tmp_path / "ledger")) as ledger:
            watching = station(tmp_path, executor, Maker(), ledger, copy=copy)
            left[0] = draw.randint(1, 12)
            try:
                while await watching.round() or ledger.pending:
                    pass
            except KilledError:
                continue
            break
    found = content(tmp_path)
    names = [f"{number:02}" for number in range(12)]
    assert sorted(found["accept"] + found["reject"] + found["review"]) == names
    assert found["in"] == (names if copy else [])
    lines = (tmp_path / "log").read_text().splitlines()
    assert (lines[0], sorted(line[:2] for line in lines[1:])) == ("HEAD", names)


@pytest.mark.anyio
async def test_a_full_or_vanished_folder_stops_nothing_else(
    tmp_path: Path, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    maker, rename, full = Maker(), os.rename, True

    def rename_unless_full(source: str, destination: str) -> None:
        if full and "/reject/" in destination:
            raise OSError(errno.ENOSPC, "No space left on device")
        rename(source, destination)

    monkeypatch.setattr(os, "rename", rename_unless_full)
    with closing(Ledger(tmp_path / "ledger")) as ledger:
        watching = station(tmp_path, executor, maker, ledger)
        (tmp_path / "accept").rmdir()
        for name, text in {"a": "accept", "b": "reject", "c": "review"}.items():
            (tmp_path / "in" / name).write_text(text)
        assert [await watching.round(), await watching.round()] == [3, 0]
        assert content(tmp_path) == {"in": ["a", "b"], "reject": [], "review": ["c"]}
        full = False
        (tmp_path / "accept").mkdir()
        await watching.round()
        assert content(tmp_path) == {"accept": ["a"], "in": [], "reject": ["b"], "review": ["c"]}
        (tmp_path / "in").rmdir()
        assert await watching.round() == 0
    assert len(maker.inspected) == 3
    assert len((tmp_path / "log").read_text().splitlines()) == 4
    for said in ("accept: No such file", "reject: No space left", "No such file or directory: .*in"):
        assert re.search(said, caplog.text)


@pytest.mark.anyio
async def test_a_log_that_can_not_be_written(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    (tmp_path / "log").mkdir()
    with closing(Ledger(tmp_path / "ledger")) as ledger:
        watching = station(tmp_path, executor, Maker(), ledger)
        for name in "ab":
            (tmp_path / "in" / name).write_text("accept")
            os.utime(tmp_path / "in" / name, (ord(name), ord(name)))
        await watching.round()
        assert content(tmp_path)["accept"] == ["a", "b"]
        (tmp_path / "log").rmdir()
        await watching.round()
    assert (tmp_path / "log").read_text() == "HEAD\na accept a\nb accept b\n"
