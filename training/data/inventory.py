"""Every file of a data folder, once: the images among them, and what is left out, by reason."""

import os
import stat
import struct
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from model.clutter import is_clutter
from model.errors import DataError
from model.image import FORMATS, sniff

_SUFFIXES: Final = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
# Cameras' raw files and microscopes' slides begin like a TIFF, and aren't one that can be used.
_LIKE_TIFF: Final = {".dng", ".nef", ".nrw", ".cr2", ".arw", ".pef", ".srw", ".3fr", ".iiq", ".svs", ".ndpi", ".scn"}
_BMP_HEADERS: Final = {12, 16, 40, 52, 56, 64, 108, 124}

_CLUTTERS: Final = "hidden, system or temporary files or folders"
_NO_IMAGES: Final = f"files that are no {FORMATS} image"
_READ_ALREADY: Final = "links to a folder that is read already"
_NO_FILES: Final = "pipes, devices or the like"
_DEAD_LINKS: Final = "links to nothing"
_UNREADABLE: Final = "unreadable files"


@dataclass(frozen=True)
class Inventory:
    """What lies in a folder, as paths below it, sorted."""

    images: list[PurePosixPath] = field(default_factory=list)
    """By their suffix, or by how they begin."""
    folders: list[PurePosixPath] = field(default_factory=list)
    left_out: dict[str, list[PurePosixPath]] = field(default_factory=lambda: defaultdict(list))
    """By reason. A folder stands for all that is in it."""


def take_inventory(root: Path) -> Inventory:
    """Walk `root` and what its links lead to, no folder twice. Raises DataError where a folder can't be read."""
    found = Inventory()
    home = root.resolve()
    seen = {_identity(folder) for folder in home.parents}  # a link up there would lead back here, or through the disk
    folders, links = [PurePosixPath()], list[PurePosixPath]()
    while folders or links:  # links last: a folder that is also a link's target is read under its own name
        folder = folders.pop() if folders else links.pop(0)
        if (identity := _identity(root / folder)) in seen:
            found.left_out[_READ_ALREADY].append(folder)
            continue
        seen.add(identity)
        found.folders.append(folder)
        for entry in _entries(root / folder):
            path = folder / entry.name
            if is_clutter(entry.name):
                found.left_out[_CLUTTERS].append(path)
            elif _is_folder(entry):
                (links if entry.is_symlink() else folders).append(path)
            elif (reason := _why_no_image(entry)) is not None:
                found.left_out[reason].append(path)
            else:
                found.images.append(path)
    for paths in (found.images, found.folders, *found.left_out.values()):
        paths.sort()
    return found


def shown(path: PurePosixPath | Path) -> str:
    """A path as it can be printed anywhere: what is no text in it as escapes."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(path))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{shown(folder)} can't be read: {error.strerror}") from error


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        raise DataError(f"{shown(folder)} can't be read: {error.strerror}") from error
    return status.st_dev, status.st_ino


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _why_no_image(entry: os.DirEntry[str]) -> str | None:
    """None for an image. What is called like one and can't be read counts as one, so that it is refused by name."""
    suffix = PurePosixPath(entry.name).suffix.lower()
    try:
        if not stat.S_ISREG(entry.stat().st_mode):
            return _NO_FILES  # reading a pipe would wait for ever
    except OSError:
        return None if suffix in _SUFFIXES else _DEAD_LINKS
    if suffix in _SUFFIXES:
        return None
    try:
        with open(entry.path, "rb") as file:
            head = file.read(18)
    except OSError:
        return _UNREADABLE
    return None if suffix not in _LIKE_TIFF and _begins_like_an_image(head) else _NO_IMAGES


def _begins_like_an_image(head: bytes) -> bool:
    form = sniff(head)
    if form == "BMP":  # two letters alone begin many a text
        return len(head) == 18 and struct.unpack("<I", head[14:])[0] in _BMP_HEADERS
    return form is not None
