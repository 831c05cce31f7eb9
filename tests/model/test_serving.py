"""serving.json: what it may say, and how the store keeps it."""

import errno
import os
from pathlib import Path
from typing import Final

import pytest

from model.errors import ServingError, StoreError
from model.serving import Serving, ThresholdBand, decode, encode
from model.store import Store
from model.verdict import Thresholds


@pytest.mark.parametrize(
    ("text", "serving", "thresholds"),
    [
        ("{}", Serving(), None),
        ('{"version": 3, "defect_rate": null}', Serving(version=3), None),
        ('{"thresholds": 0, "defect_rate": 0.02}', Serving(None, 0.0, 0.02), Thresholds(0, 0, 0)),
        (
            '{"thresholds": {"review": 0.1, "label": 0.2, "reject": 1}}',
            Serving(thresholds=ThresholdBand(0.1, 0.2, 1)),
            Thresholds(0.1, 0.2, 1),
        ),
        (
            '{"checks": {"size": "off", "sharpness": [0.2, null]}}',
            Serving(checks={"size": "off", "sharpness": (0.2, None)}),
            None,
        ),
    ],
)
def test_what_it_may_say(text: str, serving: Serving, thresholds: Thresholds | None) -> None:
    assert decode(text.encode()) == serving
    assert decode(b"\xef\xbb\xbf" + text.encode()) == serving  # as Windows's editors write it
    assert serving.line_thresholds() == thresholds
    assert decode(encode(serving)) == serving


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "truncated"),
        ("[]", "Expected `object`"),
        ('{"version": 0}', r">= 1 - at `\$.version`"),
        ('{"version": 1000000000}', r"at `\$.version`"),
        ('{"version": "3"}', r"got `str` - at `\$.version`"),
        ('{"vresion": 3}', "unknown field `vresion`"),
        ('{"defect_rate": 1}', r"< 1.0 - at `\$.defect_rate`"),
        ('{"defect_rate": 0}', r"> 0.0 - at `\$.defect_rate`"),
        ('{"thresholds": 1.1}', r"<= 1.0 - at `\$.thresholds`"),
        ('{"thresholds": {"label": 0.4}}', "missing required field `review`"),
        ('{"thresholds": {"review": 0.5, "label": 0.4, "reject": 0.6}}', "0 ≤ review ≤ label ≤ reject ≤ 1"),
        ('{"thresholds": {"review": 0, "label": 0, "reject": 0, "other": 0}}', "unknown field `other`"),
        ('{"checks": {"sharpnes": "off"}}', r"'sharpnes' - at `key` in `\$.checks`"),
        ('{"checks": {"size": "on"}}', r"'on' - at `\$.checks\[...\]`"),
        ('{"checks": {"size": [1]}}', r"`array` of length 2 - at `\$.checks\[...\]`"),
        ('{"checks": {"size": [2, 1]}}', "limits of size must not descend: 2, 1"),
        ('{"version": ' + 100_000 * "[", "serving.json can't be read"),
        ("\xff", "serving.json can't be read"),
    ],
)
def test_what_it_may_not_say(text: str, reason: str) -> None:
    with pytest.raises(ServingError, match=reason):
        decode(text.encode("latin-1") if text == "\xff" else text.encode())


SAVED: Final = {  # Notepad's and PowerShell's ways of saving a text, and which of them can be read
    "utf-8-sig": True,
    "utf-16": False,
    "utf-16-le": False,
    "utf-16-be": False,
    "utf-32": False,
}


@pytest.mark.parametrize(("encoding", "read"), SAVED.items())
def test_as_windows_saves_it(encoding: str, read: bool) -> None:
    data = '{\r\n  "version": 3\r\n}\r\n'.encode(encoding)
    if read:
        assert decode(data) == Serving(version=3)
    else:
        with pytest.raises(
            ServingError, match=r"serving.json can't be read: it is in UTF-16 or UTF-32: save it as UTF-8"
        ):
            decode(data)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "widget" / "1").mkdir(parents=True)
    return Store(tmp_path)


def test_without_a_file_nothing_is_said(store: Store) -> None:
    assert store.serving("widget") == Serving()


def test_the_store_keeps_it_readable_and_alone(store: Store) -> None:
    store.set_serving("widget", Serving(version=1))
    store.set_serving("widget", Serving(version=1, defect_rate=0.1))
    home = store.root / "widget"
    assert store.serving("widget") == Serving(version=1, defect_rate=0.1)
    assert sorted(os.listdir(home)) == ["1", "serving.json"]
    assert (home / "serving.json").stat().st_mode & 0o777 == 0o644
    assert (store.models(), store.versions("widget")) == (["widget"], [1])


def test_a_broken_file_is_named(store: Store) -> None:
    path = store.root / "widget" / "serving.json"
    path.write_text("{")
    with pytest.raises(ServingError, match=str(path)):
        store.serving("widget")
    path.unlink()
    path.mkdir()
    with pytest.raises(ServingError, match=f"{path} can't be read: Is a directory"):
        store.serving("widget")


@pytest.mark.parametrize("function", ["mkstemp", "fsync", "replace"])
def test_a_failed_write_leaves_the_former(store: Store, function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a read-only or full disk; permissions wouldn't bind tests that run as root."""
    store.set_serving("widget", Serving(version=1))

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(f"model.store.{'tempfile' if function == 'mkstemp' else 'os'}.{function}", fail)
    with pytest.raises(StoreError, match=r"widget/serving.json can't be changed: Read-only file system"):
        store.set_serving("widget", Serving(version=2))
    assert store.serving("widget") == Serving(version=1)
    assert sorted(os.listdir(store.root / "widget")) == ["1", "serving.json"]
