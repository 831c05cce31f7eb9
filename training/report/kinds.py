"""How each kind of part fared, for the table."""

from dataclasses import dataclass

from model.manifest import Estimate, Figures
from training.data.samples import GOOD
from training.evaluation.intervals import rate


@dataclass(frozen=True)
class KindRow:
    """One kind of defect, or the good parts."""

    name: str
    is_good: bool
    images: int
    wrong: int
    right: Estimate
    auroc: float | None


def kind_rows(figures: Figures) -> list[KindRow]:
    """Good parts first, then the kinds of defect, the worst first."""
    rows = [
        KindRow(kind, kind == GOOD, errors.images, errors.wrong, rate(errors.images - errors.wrong, errors.images),
                errors.auroc)
        for kind, errors in figures.errors_by_kind.items()
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (not row.is_good, row.right.value, row.name))
