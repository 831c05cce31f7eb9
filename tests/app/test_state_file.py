"""State that survives a restart."""

import logging
from pathlib import Path

import pytest

from app.state_file import StateFile

Numbers = dict[str, float]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = StateFile(tmp_path, "state.json", Numbers)
    assert file.read({}) == {}
    for number in range(50):
        file.write(b'{"a": %d}' % number)
    file.flush(10)
    assert StateFile(tmp_path, "state.json", Numbers).read({}) == {"a": 49}
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_without_a_folder_nothing_is_kept() -> None:
    file = StateFile(None, "state.json", Numbers)
    file.write(b"{}")
    file.flush(10)
    assert file.read({"a": 1.0}) == {"a": 1.0}


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": "b"}', b"[]", b"\xff"])
def test_what_can_not_be_read_is_kept_and_told(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state.json").write_bytes(content)
    assert StateFile(tmp_path, "state.json", Numbers).read({"a": 1.0}) == {"a": 1.0}
    assert (tmp_path / "state.broken").read_bytes() == content
    assert "state.json can't be used, and its state begins anew" in caplog.text


def test_a_folder_that_is_gone_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    folder = tmp_path / "gone"
    file = StateFile(folder, "state.json", Numbers)
    for _ in range(3):
        file.write(b"{}")
        file.flush(10)
    assert caplog.text.count("can't be written, and would be lost with a restart") == 1
    folder.mkdir()
    file.write(b"{}")
    file.flush(10)
    assert "resolved" in caplog.text
    assert file.read({"a": 1.0}) == {}
