"""Which images there are, of which kind, and where their masks lie. Only names are looked at here."""

import csv
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from model.errors import DataError

GOOD: Final = "good"
_NO_KIND: Final = {"mask", "masks", "__macosx"}
_SUFFIXES: Final = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True)
class Sample:
    """One labelled image."""

    path: Path
    name: str
    """Its path within the data folder, with forward slashes: how it is called in results."""
    kind: str
    """"good", or the kind of defect."""
    mask: Path | None = None
    """Where it is defective: a picture of the same size, brighter than half there. None: not known."""
    group: str = ""
    """Samples of one group (a part, a lot) stay together in a split; by default each is its own."""

    @property
    def is_anomaly(self) -> bool:
        return self.kind != GOOD


def find_samples(folder: Path, *, group: str | None = None) -> list[Sample]:
    """All labelled images of `folder`, sorted by name, in whichever of the three layouts it has:

    MVTec AD (train/good, test/good, test/KIND, ground_truth/KIND), ELPV (labels.csv), or good/ beside one folder per
    kind of defect (and ground_truth/KIND, where there are masks). `group`: a regular expression searched in each name;
    what it matches (its first group, where it has one) names the sample's group.
    Raises DataError, saying what is missing and what to do.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; --data must name the folder that holds the images")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise DataError(f"{folder} can't be read: permission denied")
    if (folder / "train" / GOOD).is_dir():
        samples = [*_of_folders(folder, folder / "train"), *_of_folders(folder, folder / "test")]
    elif (labels := _elpv_labels(folder)) is not None:
        samples = _of_elpv(labels)
    elif (folder / GOOD).is_dir():
        samples = _of_folders(folder, folder)
    else:
        raise DataError(
            f"{folder} has none of the layouts that can be read: train/good and test/KIND (MVTec AD), good/ beside one "
            f"folder per kind of defect, or labels.csv (ELPV); it holds: {_listing(folder)}"
        )
    for sample in samples:
        if not sample.name.isprintable():
            raise DataError(f"{sample.name!r}: rename this file; results couldn't be written with a name like that")
    return sorted(_grouped(samples, group), key=lambda sample: sample.name)


def kinds_of(samples: Iterable[Sample]) -> dict[str, int]:
    """How many samples of each kind, good first."""
    counts = Counter(sample.kind for sample in samples)
    return {kind: counts[kind] for kind in sorted(counts, key=lambda kind: (kind != GOOD, kind))}


def _of_folders(root: Path, parent: Path) -> list[Sample]:
    samples = []
    for folder in sorted(parent.iterdir()) if parent.is_dir() else []:
        if not folder.is_dir() or folder.name.startswith(".") or folder.name == "ground_truth":
            continue
        if folder.name.lower() in _NO_KIND:
            raise DataError(f"{folder} doesn't look like a kind of defect; masks belong in {root}/ground_truth/KIND")
        pictures = _pictures(folder)
        if not pictures:
            raise DataError(f"{folder} holds no PNG, JPEG, BMP, TIFF or WebP image; fill it or remove it")
        masks = {} if folder.name == GOOD else _masks(root / "ground_truth" / folder.name)
        for path in pictures:
            mask = masks.pop(path.relative_to(folder).with_suffix("").as_posix(), None)
            samples.append(Sample(path, path.relative_to(root).as_posix(), folder.name, mask))
        if masks:
            raise DataError(f"{len(masks)} masks belong to no image in {folder}, as {next(iter(masks.values()))}")
    return samples


def _masks(folder: Path) -> dict[str, Path]:
    """Masks by the path, below their kind's folder and without suffix, of the image that they belong to."""
    found = {}
    for path in _pictures(folder) if folder.is_dir() else []:
        place = path.relative_to(folder).with_suffix("")
        found[place.with_name(place.name.removesuffix("_mask")).as_posix()] = path
    return found


def _pictures(folder: Path) -> list[Path]:
    """Every picture below a folder, by its name's suffix. Raises DataError where a folder can't be read."""

    def fail(error: OSError) -> None:
        raise DataError(f"{error.filename} can't be read: {error.strerror}") from error

    names = [
        Path(parent) / name for parent, _, names in os.walk(folder, onerror=fail, followlinks=True) for name in names
    ]
    return sorted(path for path in names if path.suffix.lower() in _SUFFIXES)


def _elpv_labels(folder: Path) -> Path | None:
    """labels.csv of Deitsch et al. 2019, in the package's folder or its data/."""
    return next((path for path in (folder / "labels.csv", folder / "data" / "labels.csv") if path.is_file()), None)


def _of_elpv(labels: Path) -> list[Sample]:
    """Rows of path, probability of a defect (0, 1/3, 2/3, 1) and mono or poly; above 0.5 it is an anomaly."""
    samples = []
    try:
        rows = csv.reader(labels.read_text("utf-8").splitlines(), delimiter=" ", skipinitialspace=True)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{labels} can't be read: {error}") from error
    for number, row in enumerate(rows, 1):
        try:
            name, text, module = (cell for cell in row if cell)
            probability = float(text)
            if not 0 <= probability <= 1:
                raise ValueError
        except ValueError:
            raise DataError(f"{labels}, line {number}: not a path, a probability and a module type: {row}") from None
        kind = f"defect-{module}" if probability > 0.5 else GOOD
        path = labels.parent / name
        if not path.is_file():
            raise DataError(f"{labels}, line {number}: {path} is missing")
        samples.append(Sample(path, name, kind))
    if not samples:
        raise DataError(f"{labels} is empty")
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


def _listing(folder: Path) -> str:
    names = sorted(entry.name for entry in folder.iterdir())
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "") if names else "nothing"
