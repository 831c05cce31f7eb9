"""Every file of a folder is found once, and is an image or left out with a reason."""

import os
from pathlib import Path

import pytest
from PIL import Image

from model.errors import DataError
from model.image import FORMATS
from training.data.inventory import Inventory, shown, take_inventory


def names(dataset: Inventory) -> list[str]:
    return [str(path) for path in dataset.images]


def left_out(dataset: Inventory) -> dict[str, list[str]]:
    return {reason: [str(path) for path in paths] for reason, paths in dataset.left_out.items()}


def write(root: Path, *paths: str, form: str = "PNG") -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(root / path, format=form)


@pytest.mark.parametrize(
    "folder",
    [".ipynb_checkpoints", ".Trash-1000", "@eaDir", "__MACOSX", "__pycache__", "lost+found", "$RECYCLE.BIN", ".git"],
)
def test_what_systems_and_tools_leave_is_no_image(tmp_path: Path, folder: str) -> None:
    write(tmp_path, "good/a.png", f"good/{folder}/b.png", f"{folder}/deep/c.png")
    dataset = take_inventory(tmp_path)
    assert names(dataset) == ["good/a.png"]
    assert left_out(dataset) == {"hidden, system or temporary files or folders": sorted([folder, f"good/{folder}"])}


@pytest.mark.parametrize(
    "name", ["._a.png", "a.png~", "a.png.bak", "a.png.part", "Thumbs.db", "DESKTOP.INI", ".DS_Store"]
)
def test_so_are_its_files(tmp_path: Path, name: str) -> None:
    write(tmp_path, "a.png", name)
    dataset = take_inventory(tmp_path)
    assert names(dataset) == ["a.png"]
    assert left_out(dataset) == {"hidden, system or temporary files or folders": [name]}


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.jfif", "JPEG"), ("a.jpe", "JPEG"), ("a", "PNG"), ("a.TIF", "TIFF"), ("a.dat", "BMP"), ("a.0001", "WEBP")],
)
def test_images_are_known_by_their_first_bytes(tmp_path: Path, name: str, form: str) -> None:
    write(tmp_path, name, form=form)
    assert names(take_inventory(tmp_path)) == [name]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.txt", b"BM is how this text begins, which is a bitmap's beginning too"),
        ("raw.dng", b"II*\0" + bytes(60)),
        ("a.gif", b"GIF89a" + bytes(60)),
        ("data.zip", b"PK\3\4"),
        ("empty", b""),
    ],
)
def test_other_files_are_left_out(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    dataset = take_inventory(tmp_path)
    assert names(dataset) == []
    assert left_out(dataset) == {f"files that are no {FORMATS} image": [name]}


def test_what_is_called_like_an_image_and_is_none_stays_to_be_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "page.jpg").write_text("<!DOCTYPE html>")
    (tmp_path / "gone.bmp").symlink_to("nowhere.bmp")
    assert names(take_inventory(tmp_path)) == ["empty.png", "gone.bmp", "page.jpg"]


@pytest.mark.parametrize("target", [".", "..", "../..", "/", "../good"])
def test_no_folder_is_read_twice(tmp_path: Path, target: str) -> None:
    root = tmp_path / "data"
    write(root, "good/a.png")
    (root / "good/again").symlink_to(target)
    dataset = take_inventory(root)
    assert names(dataset) == ["good/a.png"]
    assert left_out(dataset) == {"links to a folder that is read already": ["good/again"]}


def test_a_folder_is_read_under_its_own_name_whatever_links_to_it(tmp_path: Path) -> None:
    write(tmp_path, "dent/a.png")
    (tmp_path / "aaa").symlink_to("dent")
    assert names(take_inventory(tmp_path)) == ["dent/a.png"]


def test_links_to_folders_elsewhere_are_followed_once(tmp_path: Path) -> None:
    write(tmp_path, "elsewhere/deep/a.png")
    (tmp_path / "data").mkdir()
    for name, target in (("one", "elsewhere"), ("two", "elsewhere"), ("zero", "elsewhere/deep")):
        (tmp_path / "data" / name).symlink_to(tmp_path / target)
    dataset = take_inventory(tmp_path / "data")
    assert names(dataset) == ["one/deep/a.png"]
    assert left_out(dataset) == {"links to a folder that is read already": ["two", "zero"]}


def test_pipes_and_dead_links_are_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "gone").symlink_to("nowhere")
    dataset = take_inventory(tmp_path)
    assert names(dataset) == []
    assert left_out(dataset) == {"pipes, devices or the like": ["pipe.png"], "links to nothing": ["gone", "self"]}


def test_a_folder_of_the_system_is_not_even_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.png", "lost+found/b.png")
    opened = []
    scandir = os.scandir

    def watched(folder: Path) -> object:
        opened.append(folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", watched)
    take_inventory(tmp_path)
    assert opened == [tmp_path]


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone can't be read: No such file"):
        take_inventory(tmp_path / "gone")


def test_names_that_are_no_text_can_be_printed(tmp_path: Path) -> None:
    path = Path(os.fsdecode(b"caf\xe9\n.txt"))
    assert shown(path) == r"caf\udce9\n.txt"
    shown(path).encode()
