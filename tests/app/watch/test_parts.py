"""What is whole, where it goes, and its line."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from app.score.errors import UsageError
from app.watch.destinations import Destinations
from app.watch.folder import Signature, WatchedFolder
from app.watch.ledger import Entry, Ledger
from app.watch.log_file import line_begins, write_line


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def names(found: list[tuple[str, Signature]]) -> list[str]:
    return [os.path.basename(path) for path, _ in found]


def test_a_file_is_whole_when_it_stands_still(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "a.png"
    folder = WatchedFolder(tmp_path, 2.0, clock=clock)
    path.write_bytes(b"half")
    assert names(folder.whole({})[0]) == []
    clock.now = 1.9
    with path.open("ab") as file:
        file.write(b" and half")
    assert names(folder.whole({})[0]) == []
    clock.now = 3.8
    assert names(folder.whole({})[0]) == []
    clock.now = 3.9
    ready, there = folder.whole({})
    assert (names(ready), there) == (["a.png"], {str(path)})
    assert folder.whole(dict(ready))[0] == []
    path.write_bytes(b"the next part, under the same name")
    assert folder.whole(dict(ready))[0] == []
    clock.now = 6.0
    assert names(folder.whole(dict(ready))[0]) == ["a.png"]


def test_the_oldest_first_and_without_what_is_excluded(tmp_path: Path) -> None:
    for number, name in enumerate(["z.png", "lot/b.png", "accept/1.png", "log.csv", "a.png.part", "c.png"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000 + number, 1000 + number))
    excluded = frozenset(str(tmp_path / name) for name in ("accept", "log.csv"))
    assert names(WatchedFolder(tmp_path, 0.0, excluded).whole({})[0]) == ["z.png", "b.png", "c.png"]


def test_a_vanished_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        WatchedFolder(tmp_path / "gone", 0.0).whole({})


def test_a_line_is_written_once_whatever_was_written_of_it(tmp_path: Path) -> None:
    path, header, first, second = tmp_path / "log.csv", b"name\n", b"one\n", b"two\n"
    for content in [header[:3], header + first[:2], header + first, b""]:
        path.write_bytes(content)
        write_line(path, first, 0, header)
        assert path.read_bytes() == header + first
    offset = line_begins(path)
    for length in range(len(second) + 1):
        path.write_bytes(header + first + second[:length])
        write_line(path, second, offset, header)
        assert path.read_bytes() == header + first + second
    path.unlink()  # put away: a new file begins
    write_line(path, second, offset, header)
    assert path.read_bytes() == header + second
    path.write_bytes(header + b"somebody else's\n")
    write_line(path, second, offset, header)
    assert path.read_bytes() == header + b"somebody else's\n" + second


def test_nothing_goes_over_another_file(tmp_path: Path) -> None:
    accept = tmp_path / "accept"
    (accept / "lot").mkdir(parents=True)
    (accept / "lot" / "a.tar.png").touch()
    destinations = Destinations({"accept": accept, "review": tmp_path})
    taken = {str(accept / "lot" / "a.tar-2.png")}
    assert destinations.choose("accept", "lot/a.tar.png", taken) == str(accept / "lot" / "a.tar-3.png")
    assert destinations.choose("reject", "a.png", set()) is None
    assert destinations.choose(None, "a.png", set()) == str(tmp_path / "a.png")


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("other_disk", [False, True])
def test_sent_and_sent_again(copy: bool, other_disk: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if other_disk:
        monkeypatch.setattr(os, "rename", lambda *_: (_ for _ in ()).throw(OSError(18, "Invalid cross-device link")))
    (tmp_path / "accept").mkdir()
    source, target = tmp_path / "a.png", tmp_path / "accept" / "lot" / "a.png"
    destinations = Destinations({"accept": tmp_path / "accept"}, copy)
    source.write_bytes(b"x")
    destinations.send(str(source), str(target))
    assert (target.read_bytes(), source.exists()) == (b"x", copy)
    source.write_bytes(b"x")  # as if it had ended before the source was removed
    if other_disk or copy:
        destinations.send(str(source), str(target))
        assert (target.read_bytes(), source.exists()) == (b"x", copy)
    assert [path.name for path in target.parent.iterdir()] == ["a.png"]


def test_a_vanished_decision_folder_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(FileNotFoundError):
        Destinations({"accept": tmp_path / "accept"}).send(str(tmp_path / "a.png"), str(tmp_path / "accept" / "a.png"))
    assert not (tmp_path / "accept").exists()


def test_the_ledger_survives(tmp_path: Path) -> None:
    stays, goes = tmp_path / "stays.png", os.fsdecode(b"/in/\xe9.png")
    stays.touch()
    signature = Signature.of(str(stays))
    assert signature
    first = Ledger(tmp_path / "ledger")
    one = first.add(Entry(str(stays), signature, b"1\n", None, is_sorted=True))
    two = first.add(Entry(goes, Signature(2, 3), b"2\n", "/out/é"))
    first.update(replace(one, is_written=True))
    with pytest.raises(UsageError, match="another process"):
        Ledger(tmp_path / "ledger")
    first.close()
    second = Ledger(tmp_path / "ledger")
    assert second.known == {str(stays): signature, goes: Signature(2, 3)}
    assert [*second.pending.values()] == [two]
    second.update(replace(two, is_written=True, is_sorted=True))
    assert second.known == {str(stays): signature}  # another file may come under the other name
    second.forget(set(), before_ns=0)
    assert second.known
    second.forget(set(), before_ns=2**62)
    assert second.known == {}
    second.close()
    third = Ledger(tmp_path / "ledger")
    assert third.known == {}
    third.close()


def test_a_ledger_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_bytes(b"x" * 5000)
    with pytest.raises(UsageError, match="can't be used"):
        Ledger(tmp_path / "ledger")
