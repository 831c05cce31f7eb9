"""The reply in one line of text, for programmable logic controllers: fields in fixed order, semicolons between."""

from typing import Final

from app.part_id import HEADER
from app.records.inspection import Inspection
from model.verdict import Decision

MOST_CHARACTERS: Final = 80
"""Of the line, its end included."""
EVALUATION: Final[dict[Decision, int]] = {"accept": 1, "reject": 2, "review": 3}
"""ResultEvaluationEnum of OPC 40001-101 (section 10.3): OK, NotOK, NotDecidable."""
NOT_INSPECTABLE: Final = 0
"""The same enumeration's Undefined."""
_BEFORE: Final = len("1;0.0123;accept;")


def check_length(model: str, version: int, part_id: str | None) -> None:
    """Raises ValueError where the line would be too long; nothing is cut off. `part_id`: as it was sent."""
    length = _BEFORE + len(f"{model};{version};{part_id or ''}\n")
    if length > MOST_CHARACTERS:
        raise ValueError(
            f"with Accept: text/plain the line would have {length} characters, and may have {MOST_CHARACTERS}: "
            f"use a shorter {HEADER}"
        )


def line_of(inspection: Inspection, part_id: str | None) -> str:
    """Evaluation, probability, decision, model, version, part id as it was sent."""
    verdict, basis = inspection.verdict, inspection.basis
    evaluation = EVALUATION[verdict.decision] if inspection.inspectable else NOT_INSPECTABLE
    return f"{evaluation};{verdict.probability:.4f};{verdict.decision};{basis.model};{basis.version};{part_id or ''}\n"
