"""What writers leave that are killed."""

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from model.drafts import writing
from model.errors import StoreError
from model.serving import Serving
from model.store import Store

WRITER = """
import sys, time
from pathlib import Path
from model.store import Store

def fill(draft):
    (draft / "weights").write_bytes(bytes(1000))
    print("writing", flush=True)
    time.sleep(600)

Store(Path(sys.argv[1])).publish("bolt", fill)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.publish("bolt", lambda draft: None)
    return store


@contextmanager
def writer(store: Store) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of a version; killed at the end."""
    command = [sys.executable, "-c", WRITER, str(store.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "writing\n"
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def drafts(store: Store) -> list[Path]:
    return sorted((store.root / "bolt").glob(".draft-*"))


def test_the_draft_of_a_killed_writer_goes_when_the_next_one_starts(store: Store) -> None:
    with writer(store):
        (draft,) = drafts(store)
    assert (draft / "weights").exists()
    store.check_writable("bolt")
    assert drafts(store) == []
    assert store.versions("bolt") == [1]


def test_the_draft_of_a_living_writer_stays(store: Store) -> None:
    with writer(store):
        store.check_writable("bolt")
        store.set_serving("bolt", Serving(version=1))
        assert store.publish("bolt", lambda draft: None).name == "2"
        (draft,) = drafts(store)
        assert (draft / "weights").exists()
    assert store.publish("bolt", lambda draft: None).name == "3"
    assert drafts(store) == []


def test_what_is_left_of_a_serving_file_goes_too(store: Store) -> None:
    (store.root / "bolt/.draft-x1").write_text('{"version": 1')
    (store.root / "bolt/.incoming").mkdir()
    store.set_serving("bolt", Serving(version=1))
    assert sorted(os.listdir(store.root / "bolt")) == [".incoming", "1", "serving.json"]


def test_other_models_are_left_alone(store: Store) -> None:
    (store.root / "nut/.draft-x1").mkdir(parents=True)
    store.check_writable("bolt")
    assert (store.root / "nut/.draft-x1").exists()


def test_without_locks_nothing_is_removed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", none)
    (store.root / "bolt/.draft-x1").mkdir()
    assert store.publish("bolt", lambda draft: None).name == "2"
    assert [draft.name for draft in drafts(store)] == [".draft-x1"]


def test_a_lock_of_another_user_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permissions wouldn't bind a test that runs as root."""
    opened = os.open

    def guarded(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, mode)

    with writing(tmp_path):
        monkeypatch.setattr(os, "open", guarded)
        with writing(tmp_path):
            assert (tmp_path / ".lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_careful_umask_keeps_nobody_from_sharing(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with writing(tmp_path):
            assert stat.S_IMODE((tmp_path / ".lock").stat().st_mode) == 0o644
    finally:
        os.umask(before)


def test_many_writers_at_once(tmp_path: Path) -> None:
    """Whoever comes while the last one takes the lock away begins anew; no draft of a living writer goes."""

    def write(number: int) -> None:
        for turn in range(50):
            with writing(tmp_path):
                (draft := tmp_path / f".draft-{number}-{turn}").mkdir()
                (draft / "file").write_text("there")
                assert (draft / "file").read_text() == "there"
                draft.rename(tmp_path / f"{number}-{turn}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert len(list(tmp_path.iterdir())) == 400


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT])
def test_a_folder_that_can_not_be_written_is_named(store: Store, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    reason = os.strerror(code)

    def fail(path: object, *_: object, **__: object) -> int:
        raise OSError(code, reason, str(path))

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(StoreError, match=rf"serving\.json can't be changed: {reason}"):
        store.set_serving("bolt", Serving())
    with pytest.raises(StoreError, match=rf"can't be written: .*{reason}"):
        store.check_writable("bolt")
