"""ELPV's labels.csv (Deitsch et al. 2019): a row for each image, with the probability that it shows a defect."""

import csv
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from model.errors import DataError


@dataclass(frozen=True)
class Cell:
    """One row of labels.csv: one solar cell."""

    name: str
    """Path of its image from the file's folder, as the file has it."""
    module: str
    """Type of its module: mono or poly."""
    is_anomaly: bool
    """Whether the probability of a defect (0, 1/3, 2/3, 1) is above 0.5."""


def labels_of(folder: Path) -> Path | None:
    """Path of labels.csv, in the package's folder or in its data/; None where there is none."""
    return next((path for path in (folder / "labels.csv", folder / "data" / "labels.csv") if path.is_file()), None)


def read_labels(labels: Path) -> list[Cell]:
    """All rows of the file. Raises DataError that names the line that is wrong."""
    try:
        rows = csv.reader(labels.read_text("utf-8-sig").splitlines(), delimiter=" ", skipinitialspace=True)
        cells = [_cell(f"{labels}, line {number}", row) for number, row in enumerate(rows, 1)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{labels} can't be read: {error}") from error
    if not cells:
        raise DataError(f"{labels} is empty")
    first: dict[PurePosixPath, int] = {}
    for number, cell in enumerate(cells, 1):
        if (other := first.setdefault(PurePosixPath(cell.name), number)) != number:
            raise DataError(f"{labels}, line {number}: {cell.name} stands in line {other} already; keep one of them")
    return cells


def _cell(where: str, row: list[str]) -> Cell:
    try:
        name, text, module = (cell for cell in row if cell)
        probability = float(text)
        if not 0 <= probability <= 1:
            raise ValueError
    except ValueError:
        raise DataError(f"{where}: not a path, a probability and a module type: {row}") from None
    return Cell(name, module, probability > 0.5)
