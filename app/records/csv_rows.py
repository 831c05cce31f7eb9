"""Recorded inspections as CSV (RFC 4180)."""

import csv
import io
from collections.abc import Sequence
from typing import Final

from app.records.inspection import STEPS, Recorded
from app.records.schemas import time_of

HEADER: Final = (
    "inference_id", "received_at", "part_id", "station", "line", "key", "challenge", "request_id", "model",
    "model_version", "variant", "decision", "label", "probability", "log_odds", "inspectable", "odd", "typicality",
    "threshold_review", "threshold_label", "threshold_reject", "defect_rate", "serving_sha256", "width", "height",
    "image_sha256", "image_bytes", "image_kept",
    *(f"{name}_ms" for name in STEPS),
    "labelled", "labelled_by", "labelled_at", "note",
)  # fmt: skip


def csv_text(page: Sequence[Recorded], *, header: bool) -> str:
    """A line for each, and before them that with the names."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    if header:
        writer.writerow(HEADER)
    writer.writerows(_row(recorded) for recorded in page)
    return buffer.getvalue()


def _row(recorded: Recorded) -> list[object]:
    inspection, target = recorded.inspection, recorded.target
    origin, basis, verdict, image = inspection.origin, inspection.basis, inspection.verdict, inspection.image
    return [
        inspection.inference_id,
        _time(origin.received_at),
        origin.part_id,
        origin.station,
        origin.line,
        origin.key,
        origin.challenge,
        origin.request_id,
        basis.model,
        basis.version,
        basis.variant,
        verdict.decision,
        verdict.label,
        verdict.probability,
        verdict.log_odds,
        "true" if inspection.inspectable else "false",
        " ".join(odd.check for odd in inspection.odd),
        inspection.typicality,
        basis.thresholds.review,
        basis.thresholds.label,
        basis.thresholds.reject,
        basis.defect_rate,
        basis.serving_sha256,
        image.width,
        image.height,
        image.sha256,
        image.size,
        "true" if recorded.image_path else "false",
        *(inspection.timing_ms[name] for name in STEPS),
        *((target.label, target.by, _time(target.at), target.note) if target else (None,) * 4),
    ]


def _time(milliseconds: int) -> str:
    return time_of(milliseconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")
