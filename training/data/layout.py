"""Reads an image's split, its kind, and whether it is a mask from its path: only names are looked at here."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

GOOD: Final = "good"
"""The kind of good images, however their folder is called."""
GOOD_NAMES: Final = (
    "good", "ok", "ok_front", "normal", "pass", "passed", "accept", "accepted", "no_defect", "non_defective",
    "defect_free",
)  # fmt: skip
"""Folders that mean good, in any case, and with -, _, space or nothing between words."""

_GOOD: Final = {name.replace("_", "") for name in GOOD_NAMES}
_SPLITS: Final = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test", "testing": "test", "testpublic": "test", "testprivate": "private", "testprivatemixed": "private",
}  # fmt: skip
_CONTAINERS: Final = {"data", "image", "images", "img", "imgs"}
_MASKS: Final = {
    "groundtruth", "gt", "mask", "masks", "annotation", "annotations", "label", "labels", "segmentation",
    "segmentations", "segmentationclass",
}  # fmt: skip


@dataclass(frozen=True)
class Location:
    """What the folders around an image say of it, in words that all layouts share."""

    path: PurePosixPath
    split: str
    """train, validation, test, private (a benchmark's, without labels), or nothing."""
    kind: str | None
    """"good", or the kind of defect; None: no folder says it."""
    folder: tuple[str, ...]
    """The kind and what lies between it and the image: an image and its mask have the same."""
    kind_folder: PurePosixPath
    is_mask: bool
    """Whether a folder says that masks lie there."""

    @property
    def stem(self) -> str:
        return normalised(self.path.stem)


def locate(path: PurePosixPath, depth: int = 0) -> Location:
    """What this path within the data folder says. `depth`: how many of its first folders only wrap the data."""
    split, kind, folder, kind_folder = "", None, [], path.parent
    for index, name in enumerate(path.parts[depth:-1], depth):
        word = _word(name)
        if word in _MASKS or word in _CONTAINERS:
            continue
        if kind is None and word in _SPLITS:
            split = _SPLITS[word]
            continue
        if kind is None:
            kind = kind_of(name)
            kind_folder = PurePosixPath(*path.parts[: index + 1])
        folder.append(kind_of(name))
    return Location(
        path, split, kind, tuple(folder), kind_folder, any(_word(name) in _MASKS for name in path.parts[:-1])
    )


def wrapper_depth(images: Iterable[PurePosixPath], folders: Sequence[PurePosixPath]) -> int:
    """Number of folders, one in the other, that only wrap all images: 1 for casting_data/train/ok_front."""
    parents = {image.parent.parts for image in images}
    depth = 0
    while parents and all(len(parts) > depth for parts in parents):
        names = {folder.parts[depth] for folder in folders if len(folder.parts) == depth + 1}
        if len(names) > 1 or not _is_wrapper(names.pop()):
            break
        depth += 1
    return depth


def kind_of(name: str) -> str:
    """Kind of images in a folder of this name: good, or the defect that it is called after."""
    return GOOD if means_good(name) else normalised(name)


def means_good(name: str) -> bool:
    return _word(name) in _GOOD


def normalised(name: str) -> str:
    """The name with composed letters: file systems exchange ö for o with ¨, and both are one name."""
    return unicodedata.normalize("NFC", name)


def _is_wrapper(name: str) -> bool:
    return not means_good(name) and _word(name) not in {*_SPLITS, *_CONTAINERS, *_MASKS}


def _word(name: str) -> str:
    return normalised(name).casefold().replace("-", "").replace("_", "").replace(" ", "")
