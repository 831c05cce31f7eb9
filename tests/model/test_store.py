import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from model.errors import StoreError, UnknownModelError, UnknownVersionError
from model.store import Store


def fill(path: Path) -> None:
    (path / "golden").mkdir()
    (path / "golden" / "0.png").write_text("image")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    for model in ("bolt", "bolt", "nut"):
        store.publish(model, fill)
    return store


def test_versions_are_numbered_and_the_highest_is_the_newest(store: Store) -> None:
    assert store.models() == ["bolt", "nut"]
    assert store.versions("bolt") == [1, 2]
    assert store.path("bolt") == store.root / "bolt" / "2"
    assert store.path("bolt", 1) == store.root / "bolt" / "1"
    (store.root / "bolt" / "10").mkdir()
    assert store.path("bolt").name == "10"


def test_what_is_no_version_is_left_alone(store: Store) -> None:
    for name in ("bolt/.draft-x", "bolt/0", "bolt/latest", "bolt/-1", "bolt/03", "UPPER/1", ".hidden/1", "empty"):
        (store.root / name).mkdir(parents=True)
    (store.root / "bolt" / "9").write_text("a file")
    assert store.models() == ["bolt", "nut"]
    assert store.versions("bolt") == [1, 2]


def test_what_is_left_alone_is_named(store: Store) -> None:
    for name in ("lost+found", ".Trash-0/files", "Bolts/1", "capsule.bak", "bolt/v3", "bolt/03", "bolt/1.5"):
        (store.root / name).mkdir(parents=True)
    for name in ("notes.txt", "bolt/9", "bolt/serving.json", "nut/serving.json"):
        (store.root / name).write_text("a file")
    for name in (".incoming", ".draft-x"):
        (store.root / "nut" / name).mkdir()
    assert store.strays() == [
        f"in {store.root} these are no models and are left alone: .Trash-0, Bolts, capsule.bak, lost+found, notes.txt",
        f"in {store.root / 'bolt'} these are no versions and are left alone: 03, 1.5, 9, v3",
    ]


def test_many_of_them_are_counted(store: Store) -> None:
    for number in range(8):
        (store.root / f"{number:02}.log").touch()
    (line,) = store.strays()
    assert line.endswith("left alone: 00.log, 01.log, 02.log, 03.log, 04.log, 05.log, 06.log, 07.log")
    for number in range(8, 20):
        (store.root / f"{number:02}.log").touch()
    (line,) = store.strays()
    assert line.endswith("left alone: 00.log, 01.log, 02.log, 03.log, 04.log, 05.log, 06.log, 07.log and 12 more")


def test_they_write_no_lines_of_their_own(store: Store) -> None:
    (store.root / "a\nb").touch()
    (line,) = store.strays()
    assert line.endswith(r"left alone: 'a\nb'")


def test_what_can_not_be_read_has_no_strays(store: Store, make_unreadable: Callable[[str], None]) -> None:
    (store.root / "nut/v3").mkdir()
    make_unreadable("bolt")
    assert [line.rpartition(": ")[2] for line in store.strays()] == ["v3"]
    assert Store(store.root / "later").strays() == []


def test_a_store_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert Store(tmp_path / "later").models() == []


def test_unknown_names_say_what_there_is(store: Store) -> None:
    with pytest.raises(UnknownModelError, match=r"no model 'screw' .*there are: bolt, nut"):
        store.versions("screw")
    with pytest.raises(UnknownModelError, match=r"no model '\.\./bolt'"):
        store.path("../bolt")
    with pytest.raises(UnknownVersionError, match=r"no version 3; there are: \[1, 2\]"):
        store.path("bolt", 3)


@pytest.mark.parametrize("name", ["", "Bolt", "a/b", "..", "-x", "a b", "x" * 65])
def test_names_that_can_not_be(store: Store, name: str) -> None:
    with pytest.raises(StoreError, match="can't be a model's name"):
        store.publish(name, fill)


def test_another_user_can_read_a_version(store: Store) -> None:
    for path in (store.path("nut"), *store.path("nut").rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o755 if path.is_dir() else 0o644)


def test_a_careful_umask_hides_nothing_from_another_user(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        path = Store(tmp_path / "store").publish("bolt", fill)
    finally:
        os.umask(before)
    for folder in (path.parent.parent, path.parent, path):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_one_folder_that_can_not_be_read_hides_no_other(store: Store, make_unreadable: Callable[[str], None]) -> None:
    make_unreadable("bolt")
    assert store.models() == ["bolt", "nut"]
    assert store.versions("nut") == [1]
    with pytest.raises(StoreError, match=r"bolt can't be read: .*Permission denied"):
        store.versions("bolt")


def test_a_number_taken_meanwhile_is_passed_over(store: Store) -> None:
    def slow(path: Path) -> None:
        fill(path)
        store.publish("bolt", fill)

    assert store.publish("bolt", slow).name == "4"
    assert store.versions("bolt") == [1, 2, 3, 4]


def test_a_number_whose_name_is_taken_is_passed_over(store: Store) -> None:
    """By a file, or by another process after the versions were listed."""
    (store.root / "bolt" / "3").write_text("a file")
    assert store.publish("bolt", fill).name == "4"
    assert store.versions("bolt") == [1, 2, 4]


def test_a_version_that_can_not_be_renamed_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(StoreError, match=r"writing a version of 'bolt' failed: .*No space left on device"):
        store.publish("bolt", fill)
    assert sorted(os.listdir(store.root / "bolt")) == ["1", "2"]


def test_a_store_is_made_with_the_folders_above_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "new" / "store")
    assert store.publish("bolt", fill) == tmp_path / "new" / "store" / "bolt" / "1"


@pytest.mark.parametrize("failure", [RuntimeError("bug"), KeyboardInterrupt()])
def test_a_failing_fill_leaves_nothing(store: Store, failure: BaseException) -> None:
    def failing(path: Path) -> None:
        fill(path)
        raise failure

    with pytest.raises(type(failure)):
        store.publish("bolt", failing)
    assert sorted(os.listdir(store.root / "bolt")) == ["1", "2"]


def test_a_store_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(StoreError, match=r"store can't be written|can't be read"):
        Store(tmp_path / "store").publish("bolt", fill)
