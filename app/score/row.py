"""One file's row: the service's reply, or why there is none; as a line of JSON, and flat for tables."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from app.records.inspection import STEPS
from app.schemas import Prediction
from app.score.errors import NoVerdictError
from app.score.files import shown

_VARYING: Final = {"heatmap", "inference_id", "part_id", "timing_ms"}
"""Members of a reply that aren't the verdict: the same image again has others."""


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one file."""

    file: str
    reply: dict[str, Any] = {}
    """Members of the reply to POST /predict; empty: there is no verdict."""
    error: str | None = None
    """As in a problem; None: there is a verdict."""
    detail: str | None = None
    timing_ms: dict[str, float] | None = None
    """None: it isn't asked for."""

    @staticmethod
    def of(file: str, prediction: Prediction, *, timing: bool) -> "Row":
        reply = prediction.model_dump(mode="json", exclude=_VARYING)
        return Row(shown(file), reply, timing_ms=prediction.timing_ms.model_dump() if timing else None)

    @staticmethod
    def of_error(file: str, error: NoVerdictError) -> "Row":
        return Row(shown(file), error=error.error, detail=str(error))

    @property
    def decision(self) -> str | None:
        """None: there is no verdict, and the part must not pass."""
        decision: str | None = self.reply.get("decision")
        return decision

    def members(self) -> dict[str, Any]:
        """Of its JSON; a row without a verdict has a decision, too: null."""
        verdict = self.reply or {"decision": None, "error": self.error, "detail": self.detail}
        return {"file": self.file, **verdict} | ({"timing_ms": self.timing_ms} if self.timing_ms else {})


def _in(*steps: str) -> Callable[[Row], Any]:
    """The member of the reply at the end of that path; None where there is no reply."""

    def member(row: Row) -> Any:
        found: Any = row.reply
        for step in steps:
            found = found[step] if found else None
        return found

    return member


def _odd(row: Row) -> str | None:
    return " ".join(odd["check"] for odd in row.reply["odd"]) if row.reply else None


def _regions(row: Row) -> str | None:
    return msgspec.json.encode(row.reply["regions"]).decode() if row.reply else None


COLUMNS: Final[Mapping[str, tuple[type, Callable[[Row], Any]]]] = {
    "file": (str, lambda row: row.file),
    "decision": (str, lambda row: row.decision),
    "label": (str, _in("label")),
    "probability": (float, _in("probability")),
    "log_odds": (float, _in("log_odds")),
    "inspectable": (bool, _in("inspectable")),
    "odd": (str, _odd),
    "typicality": (float, _in("typicality")),
    "threshold_review": (float, _in("thresholds", "review")),
    "threshold_label": (float, _in("thresholds", "label")),
    "threshold_reject": (float, _in("thresholds", "reject")),
    "model": (str, _in("model")),
    "model_version": (int, _in("model_version")),
    "width": (int, _in("image", "width")),
    "height": (int, _in("image", "height")),
    "regions": (str, _regions),
    "error": (str, lambda row: row.error),
    "detail": (str, lambda row: row.detail),
}
"""Of tables: name, type, and where it is in a row. The names are those of the records' CSV."""


def _step(name: str) -> Callable[[Row], float | None]:
    return lambda row: (row.timing_ms or {}).get(name)


TIMING: Final = {f"{name}_ms": (float, _step(name)) for name in STEPS}
"""Columns that are there when they are asked for: they differ from run to run."""


def columns(*, timing: bool) -> Mapping[str, tuple[type, Callable[[Row], Any]]]:
    return {**COLUMNS, **(TIMING if timing else {})}
