"""Rows of the table of kinds: how many images of each got the right label."""

from dataclasses import dataclass

from model.figures import Estimate, Figures
from training.data.samples import GOOD
from training.evaluation.intervals import rate


@dataclass(frozen=True)
class KindRow:
    """One kind of defect, or the good parts."""

    name: str
    is_good: bool
    images: int
    errors: int
    right: Estimate
    auroc: float | None


def kind_rows(figures: Figures) -> list[KindRow]:
    """Good parts first, then the kinds of defect, the worst first."""
    rows = [
        KindRow(kind, kind == GOOD, of.images, of.errors, rate(of.images - of.errors, of.images), of.auroc)
        for kind, of in figures.by_kind.items()
    ]
    return sorted(rows, key=lambda row: (not row.is_good, row.right.value, row.name))
