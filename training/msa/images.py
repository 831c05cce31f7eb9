"""Finds the images of a study: the same parts in every trial of every station."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from model.errors import DataError
from training.data.inventory import shown, take_inventory
from training.data.layout import GOOD, kind_of, normalised
from training.data.samples import Sample

LAYOUT: Final = "TRIAL/KIND/PART.png, or STATION/TRIAL/KIND/PART.png"
ONLY_STATION: Final = "station"
"""Name of the station where no folder names one."""


@dataclass(frozen=True)
class StudyImage:
    """One image of one part."""

    station: str
    trial: str
    part: str
    sample: Sample
    """Its kind is the reference."""


@dataclass(frozen=True)
class StudyImages:
    """Images in the order station, trial, part: every part once in each trial."""

    stations: list[str]
    trials: list[str]
    parts: list[str]
    kinds: list[str]
    """The reference of each part: good, or the kind of defect."""
    images: list[StudyImage]


def find_study(folder: Path, say: Callable[[str], None] = lambda _: None) -> StudyImages:
    """The images of `folder`, laid out as `LAYOUT`. A part is what a file is called, without its suffix.

    Raises DataError where a part is missing from a trial, is there twice, or has two kinds; where there is one trial
    alone, or no good part, or no defective one.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; it must hold {LAYOUT}")
    inventory = take_inventory(folder)
    for reason, paths in inventory.left_out.items():
        say(f"left out: {len(paths)} {reason}, as {shown(paths[0])}")
    images = [_image(folder, path) for path in inventory.images]
    if not images:
        raise DataError(f"{folder} holds no image; it must hold {LAYOUT}")
    _check_depth([image.sample.name for image in images])
    stations, trials, parts = (
        sorted(names)
        for names in (
            {image.station for image in images},
            {image.trial for image in images},
            {image.part for image in images},
        )
    )
    kinds = _kinds(images)
    if len(trials) < 2:
        raise DataError(f"{folder} has one trial, {trials[0]}: agreement needs every part imaged at least twice")
    if GOOD not in kinds.values() or set(kinds.values()) == {GOOD}:
        raise DataError("a study needs good parts and defective ones; only one class is there")
    _check_complete(images, stations, trials, parts)
    images.sort(key=lambda image: (image.station, image.trial, image.part))
    return StudyImages(stations, trials, parts, [kinds[part] for part in parts], images)


def _image(folder: Path, path: PurePosixPath) -> StudyImage:
    if not 3 <= len(path.parts) <= 4:
        raise DataError(f"{shown(path)} lies {len(path.parts) - 1} folders deep; images must lie as {LAYOUT}")
    trial, kind, _ = path.parts[-3:]
    station = path.parts[0] if len(path.parts) == 4 else ONLY_STATION
    sample = Sample(folder / path, str(path), kind_of(kind))
    return StudyImage(normalised(station), normalised(trial), normalised(path.stem), sample)


def _check_depth(names: Sequence[str]) -> None:
    by_depth = {name.count("/"): name for name in names}
    if len(by_depth) > 1:
        raise DataError(
            f"{' and '.join(map(shown, map(Path, by_depth.values())))} differ in depth: lay out as {LAYOUT}"
        )


def _kinds(images: Sequence[StudyImage]) -> dict[str, str]:
    """The kind of every part."""
    kinds: dict[str, str] = {}
    for image in images:
        if kinds.setdefault(image.part, image.sample.kind) != image.sample.kind:
            raise DataError(f"part {image.part} is {kinds[image.part]} and {image.sample.kind}: it can be but one")
    return kinds


def _check_complete(
    images: Sequence[StudyImage], stations: Sequence[str], trials: Sequence[str], parts: Sequence[str]
) -> None:
    counts = Counter((image.station, image.trial, image.part) for image in images)
    cells = [(station, trial, part) for station in stations for trial in trials for part in parts]
    missing = [cell for cell in cells if not counts[cell]]
    if missing:
        station, trial, part = missing[0]
        raise DataError(
            f"{len(missing)} images are missing, as that of part {part} in trial {trial} of station {station}: a study "
            "needs every part once in each trial"
        )
    for (station, trial, part), count in counts.items():
        if count > 1:
            raise DataError(f"part {part} is there {count} times in trial {trial} of station {station}")
