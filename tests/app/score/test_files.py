"""Which files are scored, in which order."""

import io
import os
from pathlib import Path

import pytest

from app.score.errors import NoVerdictError, UsageError
from app.score.files import check_paths, files, read_image, shown

NO_LIST = io.BytesIO()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder."""
    for name in ("parts/b.png", "parts/a.jpg", "parts/lot 7/Stück.bmp", "parts/z", "other/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_is_walked_by_name(folder: Path) -> None:
    assert [*files(["parts"], NO_LIST)] == ["parts/a.jpg", "parts/b.png", "parts/lot 7/Stück.bmp", "parts/z"]


def test_what_is_hidden_or_half_written_is_left_alone(folder: Path) -> None:
    for name in (".b.png.Xy12", "c.png.part", "d.tmp", "Thumbs.db", "e.filepart"):
        (folder / "other" / name).touch()
    (folder / "other" / ".thumbnails").mkdir()
    (folder / "other" / ".thumbnails" / "1.png").touch()
    os.mkfifo(folder / "other" / "pipe")
    (folder / "other" / "itself").symlink_to(folder / "other")
    assert [*files(["other"], NO_LIST)] == ["other/1.png"]


def test_a_link_to_nothing_is_missed_by_name(folder: Path) -> None:
    (folder / "other" / "2.png").symlink_to("nowhere.png")
    (folder / "other" / "3.png").symlink_to("1.png")
    assert [*files(["other"], NO_LIST)] == ["other/1.png", "other/2.png", "other/3.png"]
    with pytest.raises(NoVerdictError, match=r"other/2\.png can't be read: No such file"):
        read_image("other/2.png")


def test_paths_keep_their_order(folder: Path) -> None:
    (folder / "x[1].png").touch()
    wanted = ["parts/z", "other", "parts/*.png", "x[1].png", "p*/**/*.bmp"]
    found = ["parts/z", "other/1.png", "parts/b.png", "x[1].png", "parts/lot 7/Stück.bmp"]
    check_paths([*wanted, "-"])
    assert [*files(wanted, NO_LIST)] == found


@pytest.mark.parametrize("text", [b"other\nparts/z\r\n\nparts/a.jpg\n", b"other\0parts/z\0parts/a.jpg\0"])
def test_a_list(folder: Path, text: bytes) -> None:
    assert [*files(["-", "parts/b.png"], io.BytesIO(text))] == [
        "other/1.png", "parts/z", "parts/a.jpg", "parts/b.png"
    ]  # fmt: skip


def test_names_that_are_no_text(folder: Path) -> None:
    (folder / "other" / os.fsdecode(b"\xe9.png")).write_bytes(b"x")
    *_, name = files(["other"], NO_LIST)
    assert shown(name) == r"other/\udce9.png"
    assert read_image(name) == b"x"


def test_a_folder_that_cannot_be_read_is_missed_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permissions wouldn't bind tests that run as root."""
    scan = os.scandir

    def scandir(path: str) -> object:
        if path.endswith("lot 7"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert "parts/lot 7" in [*files(["parts"], NO_LIST)]
    with pytest.raises(NoVerdictError, match="lot 7 is a folder that can't be read"):
        read_image("parts/lot 7")


@pytest.mark.parametrize("path", ["nowhere", "parts/*.webp", ""])
def test_what_is_not_there_is_refused(folder: Path, path: str) -> None:
    with pytest.raises(UsageError, match="is not there"):
        check_paths(["parts", path])


def test_no_more_is_read_than_shows_that_it_is_too_much(folder: Path) -> None:
    (folder / "other" / "1.png").write_bytes(bytes(1000))
    assert len(read_image("other/1.png", 10)) == 11
    os.mkfifo("pipe")
    with pytest.raises(NoVerdictError, match="pipe is no file"):
        read_image("pipe")
