"""Finds the image that each mask belongs to, by their paths alone."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from model.errors import DataError
from training.data.inventory import shown
from training.data.layout import GOOD, Location, normalised

_SUFFIX: Final = re.compile(r"[-_. ](masks?|gt|ground[-_ ]?truth|labels?|seg|segmentation|annotation)$", re.IGNORECASE)


@dataclass(frozen=True)
class Pairs:
    """Images, and the masks of those that have some."""

    images: list[Location]
    masks: dict[PurePosixPath, list[PurePosixPath]]
    """By image; several mark one image together (MVTec LOCO)."""
    remarks: list[str] = field(default_factory=list)


def pair(locations: Sequence[Location]) -> Pairs:
    """Tell masks from images, and give each to its image. Raises DataError where it has none, or more than one."""
    beside = _masks_beside(locations)
    images = [location for location in locations if not location.is_mask and location.path not in beside]
    index = _Index(images)
    found: dict[PurePosixPath, list[PurePosixPath]] = defaultdict(list)
    lonely: list[PurePosixPath] = []
    torn: list[tuple[Location, list[Location]]] = []
    direct = set()
    for mask in locations:
        if mask.path not in beside and not mask.is_mask:
            continue
        owners, by_folder = index.owners(mask)
        if mask.path in beside:
            owners = [owner for owner in owners if owner.path.parent == mask.path.parent]
        if not owners:
            lonely.append(mask.path)
        elif len(owners) > 1:
            torn.append((mask, owners))
        else:
            found[owners[0].path].append(mask.path)
            if not by_folder:
                direct.add(owners[0].path)
    _refuse_lonely(lonely, images)
    _refuse_torn(torn)
    _refuse_several({image: masks for image, masks in found.items() if len(masks) > 1 and image in direct})
    return Pairs(images, dict(found), _remarks(index.in_two_splits))


def _masks_beside(locations: Iterable[Location]) -> set[PurePosixPath]:
    """Masks that lie beside their image: NAME_mask.png, NAME_GT.png, NAME_label.bmp."""
    outside = [location for location in locations if not location.is_mask]
    names = {(location.path.parent, location.stem) for location in outside}
    named = [location for location in outside if _SUFFIX.search(location.stem)]
    beside = {location.path for location in named if (location.path.parent, _SUFFIX.sub("", location.stem)) in names}
    rest = [location.path for location in named if location.path not in beside]
    if beside and rest:
        raise DataError(
            f"{len(rest)} files are called like masks, but have no image beside them, as {shown(rest[0])}: "
            "add the image, or rename the file"
        )
    return beside


class _Index:
    """Images by the folders and names that their masks may have."""

    def __init__(self, images: Iterable[Location]) -> None:
        self._by_name: dict[tuple[tuple[str, ...], str], list[Location]] = defaultdict(list)
        for image in images:
            for name in {image.stem, normalised(image.path.name)}:
                self._by_name[image.folder, name].append(image)
                if image.kind is not None:
                    self._by_name[("", *image.folder[1:]), name].append(image)
        self.in_two_splits: set[PurePosixPath] = set()

    def owners(self, mask: Location) -> tuple[list[Location], bool]:
        """Images that a mask may belong to, and whether a folder called like the image says so (KIND/IMAGE/000.png)."""
        names = dict.fromkeys((mask.stem, _SUFFIX.sub("", mask.stem)))
        for name in names:
            if owners := self._within(mask, self._by_name.get((mask.folder, name), [])):
                return owners, False
        for name in names:
            if owners := self._within(mask, self._by_name.get((("", *mask.folder), name), [])):
                # under no kind: of a defective image where a good one has the same name
                return [owner for owner in owners if owner.kind != GOOD] or owners, False
        if mask.folder:
            *folder_of_image, image = mask.folder
            return self._within(mask, self._by_name.get((tuple(folder_of_image), image), [])), True
        return [], False

    def _within(self, mask: Location, owners: list[Location]) -> list[Location]:
        """The images of the mask's own split. Beside the splits, masks are of test, as in MVTec AD."""
        if mask.split:
            return [owner for owner in owners if owner.split == mask.split]
        tested = [owner for owner in owners if owner.split == "test"]
        if tested and len(tested) < len(owners):
            self.in_two_splits.add(mask.path)
        return tested or owners


def _refuse_lonely(masks: list[PurePosixPath], images: Iterable[Location]) -> None:
    if masks:
        folders = ", ".join(sorted({shown(image.kind_folder) for image in images if image.kind not in (None, GOOD)}))
        raise DataError(
            f"{len(masks)} masks belong to no image, as {shown(masks[0])}; a mask lies in ground_truth/KIND under its "
            f"image's name, with or without _mask; rename {shown(masks[0].parent)} if it holds no masks. "
            f"Kinds of defect are {folders or 'none'}"
        )


def _refuse_torn(torn: Sequence[tuple[Location, list[Location]]]) -> None:
    if torn:
        mask, owners = torn[0]
        names = " or of ".join(shown(owner.path) for owner in owners[:3])
        raise DataError(
            f"{len(torn)} masks could belong to more than one image: {shown(mask.path)} is the mask of {names}; give "
            "these images and masks names of their own, or put masks into ground_truth/KIND"
        )


def _refuse_several(found: dict[PurePosixPath, list[PurePosixPath]]) -> None:
    for image, masks in found.items():
        names = " and ".join(shown(mask) for mask in masks[:3])
        raise DataError(
            f"{len(found)} images have more than one mask: {shown(image)} has {names}; keep one of them, or put those "
            "that count together into a folder ground_truth/KIND/IMAGE"
        )


def _remarks(in_two_splits: set[PurePosixPath]) -> list[str]:
    if not in_two_splits:
        return []
    return [
        f"warning: {len(in_two_splits)} masks have the name of an image in test and of one elsewhere, as "
        f"{shown(min(in_two_splits))}: they are taken for test's, as in MVTec AD"
    ]
