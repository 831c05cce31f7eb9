"""Finds the labelled images of a data folder: their kind, their group, and where their masks lie."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from model.errors import DataError
from training.data.elpv import labels_of, read_labels
from training.data.image_sizes import Size
from training.data.inventory import Inventory, shown, take_inventory
from training.data.kind_folders import check_empty, check_kinds
from training.data.layout import GOOD, GOOD_NAMES, Location, locate, normalised, wrapper_depth
from training.data.mask_files import MaskFiles
from training.data.masks import Mask
from training.data.pairing import pair

__all__ = ["GOOD", "Sample", "find_samples", "kinds_of"]

ROI_FILE: Final = "roi.png"
"""No sample: where all images count (`training.data.roi`)."""
ROI_POLYGONS: Final = "roi.json"
"""The same as polygons (`training.data.polygons`)."""
_DEFECT: Final = "defect"
"""The kind where masks alone say that there is a defect."""


@dataclass(frozen=True)
class Sample:
    """One labelled image."""

    path: Path
    name: str
    """Its path within the data folder, with forward slashes: how it is called in results."""
    kind: str
    """"good", or the kind of defect."""
    mask_files: MaskFiles | None = None
    """Where its mask lies. None: it has none."""
    group: str = ""
    """Samples of one group (a part, a lot) stay together in a split; by default each is its own."""
    mask: Mask | None = None
    """Where it is defective, once its files were read. None: not known."""
    size: Size | None = None
    """Width and height of its image, once that was read."""

    @property
    def is_anomaly(self) -> bool:
        return self.kind != GOOD


def find_samples(
    folder: Path, *, group: str | None = None, say: Callable[[str], None] = lambda _: None
) -> list[Sample]:
    """All labelled images of `folder`, sorted by name; docs/training.md shows the layouts that are read.

    `group`: a regular expression searched in each name; what it matches (its first group, where it has one) names the
    sample's group. `say` is told what is left out, and what should be looked at.
    Raises DataError, saying what is missing or ambiguous and what to do.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; --data must name the folder that holds the images")
    inventory = take_inventory(folder)
    for paths in (inventory.images, *inventory.left_out.values()):
        paths[:] = [path for path in paths if str(path) not in (ROI_FILE, ROI_POLYGONS)]
    depth = wrapper_depth(inventory.images, inventory.folders)
    locations = [locate(path, depth) for path in inventory.images]
    labels = labels_of(folder)
    if labels is None:
        samples = _of_folders(folder, inventory, locations, depth, say)
    else:
        samples = _of_elpv(folder, labels, locations, say)
    for sample in samples:
        if not sample.name.isprintable():
            raise DataError(f"{sample.name!r}: rename this file; results couldn't be written with a name like that")
    for reason, paths in inventory.left_out.items():
        _leave_out([path for path in paths if folder / path != labels], reason, say)
    return sorted(_grouped(samples, group), key=lambda sample: sample.name)


def kinds_of(samples: Iterable[Sample]) -> dict[str, int]:
    """How many samples of each kind, good first."""
    counts = Counter(sample.kind for sample in samples)
    return {kind: counts[kind] for kind in sorted(counts, key=lambda kind: (kind != GOOD, kind))}


def _of_folders(
    root: Path, inventory: Inventory, locations: Sequence[Location], depth: int, say: Callable[[str], None]
) -> list[Sample]:
    pairs = pair(locations)
    masks = {image: _mask(root, paths) for image, paths in pairs.masks.items()}
    check_empty(root, inventory.folders, pairs.images, depth)
    if not any(image.kind == GOOD for image in pairs.images):
        return _labelled_by_masks(root, pairs.images, masks, say)
    labelled = [image for image in pairs.images if image.kind is not None]
    _leave_out([image.path for image in pairs.images if image.kind is None], "images in no folder of a kind", say)
    check_kinds(labelled, say)
    for remark in pairs.remarks:
        say(remark)
    return [_sample(root, image, image.kind or "", masks.get(image.path)) for image in labelled]


def _labelled_by_masks(
    root: Path, images: Sequence[Location], masks: dict[PurePosixPath, MaskFiles], say: Callable[[str], None]
) -> list[Sample]:
    """Samples that are good where their mask is blank; every image must have one (KolektorSDD and KolektorSDD2)."""
    without = [image for image in images if image.path not in masks]
    if not images or without:
        raise DataError(_no_layout(root, images, without if masks else []))
    say("no folder says good: an image is good where its mask is black, and defective elsewhere")
    labels = [GOOD if masks[image.path].is_blank else _DEFECT for image in images]
    return [
        _sample(root, image, kind, replace(masks[image.path], class_numbers=True) if kind != GOOD else None)
        for image, kind in zip(images, labels, strict=True)
    ]


def _no_layout(root: Path, images: Sequence[Location], without_mask: Sequence[Location]) -> str:
    text = (
        f"{root} has none of the layouts that can be read: folders of good images (called {', '.join(GOOD_NAMES)}) "
        "beside one folder per kind of defect, alone or within train and test (MVTec AD), a mask beside every image "
        f"(KolektorSDD), or labels.csv (ELPV); it holds: {_listing(root)}"
    )
    if products := sorted({image.path.parts[0] for image in images if GOOD in image.folder[1:]}):
        return f"{text}. Name the folder of one product, as {shown(root / products[0])}"
    if without_mask:
        return f"{text}; {len(without_mask)} images have no mask, as {shown(without_mask[0].path)}"
    return text


def _sample(root: Path, image: Location, kind: str, mask: MaskFiles | None) -> Sample:
    return Sample(root / image.path, image.path.as_posix(), kind, mask)


def _mask(root: Path, paths: Sequence[PurePosixPath]) -> MaskFiles:
    """The files of one mask. VisA's, in Data/Masks beside Data/Images, hold the numbers of classes of defects."""
    return MaskFiles(tuple(root / path for path in paths), class_numbers="Masks" in paths[0].parts)


def _of_elpv(root: Path, labels: Path, locations: Sequence[Location], say: Callable[[str], None]) -> list[Sample]:
    if kinds := sorted({location.kind_folder for location in locations if location.kind == GOOD}):
        raise DataError(
            f"{labels} and {shown(root / kinds[0])} both say which images are good; move one of them out of the folder"
        )
    home = PurePosixPath(labels.parent.relative_to(root))
    actual = {normalised(location.path.as_posix()): location.path for location in locations}
    samples = []
    for number, cell in enumerate(read_labels(labels), 1):
        path = actual.pop(normalised((home / cell.name).as_posix()), None)
        if path is None:
            raise DataError(f"{labels}, line {number}: {labels.parent / cell.name} is missing")
        samples.append(Sample(root / path, cell.name, f"defect-{cell.module}" if cell.is_anomaly else GOOD))
    _leave_out(sorted(actual.values()), f"images that {labels.name} doesn't name", say)
    return samples


def _grouped(samples: Sequence[Sample], group: str | None) -> list[Sample]:
    if group is None:
        return [replace(sample, group=sample.name) for sample in samples]
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise DataError(f"--group {group!r} is not a regular expression: {error}") from None
    grouped = []
    for sample in samples:
        match = pattern.search(sample.name)
        if match is None:
            raise DataError(f"--group {group!r} matches nothing in {sample.name!r}; it must match every image's name")
        grouped.append(replace(sample, group=match[1] if pattern.groups else match[0]))
    return grouped


def _leave_out(paths: Sequence[PurePosixPath], reason: str, say: Callable[[str], None]) -> None:
    if paths:
        say(f"left out: {len(paths)} {reason}, as {shown(paths[0])}")


def _listing(folder: Path) -> str:
    names = sorted(shown(PurePosixPath(entry.name)) for entry in folder.iterdir())
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "") if names else "nothing"
