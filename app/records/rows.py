"""Inspections as rows of the table, and back, without a loss."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from sqlalchemy import RowMapping

from app.records.inspection import STEPS, Basis, Inspection, Origin, Recorded, SentImage, Target
from model.evidence import HeatmapScale
from model.gate import Odd
from model.regions import Region
from model.verdict import Thresholds, Verdict


def row_of(recorded: Recorded) -> dict[str, Any]:
    """Values of the columns by name."""
    inspection = recorded.inspection
    origin, basis, verdict, image = inspection.origin, inspection.basis, inspection.verdict, inspection.image
    height, width = inspection.evidence.shape
    return {
        "inference_id": inspection.inference_id,
        "received_at": origin.received_at,
        "request_id": origin.request_id,
        "part_id": origin.part_id,
        "key": origin.key,
        "station": origin.station,
        "line": origin.line,
        "idempotency_key": origin.idempotency_key,
        "challenge": origin.challenge,
        "model": basis.model,
        "version": basis.version,
        "variant": basis.variant,
        "threshold_review": basis.thresholds.review,
        "threshold_label": basis.thresholds.label,
        "threshold_reject": basis.thresholds.reject,
        "defect_rate": basis.defect_rate,
        "serving_sha256": basis.serving_sha256,
        "input_size": basis.input_size,
        "full_scale": basis.full_scale,
        "good_median": basis.heatmap_scale.good_median,
        "region_threshold": basis.heatmap_scale.region_threshold,
        "smoothing": basis.heatmap_scale.smoothing,
        "label": verdict.label,
        "decision": verdict.decision,
        "probability": verdict.probability,
        "log_odds": verdict.log_odds,
        "inspectable": inspection.inspectable,
        "odd": msgspec.json.encode(inspection.odd).decode(),
        "typicality": inspection.typicality,
        "width": image.width,
        "height": image.height,
        "image_sha256": image.sha256,
        "image_bytes": image.size,
        "image_path": recorded.image_path,
        "regions": None if inspection.found is None else msgspec.json.encode(inspection.found).decode(),
        **{f"{name}_ms": inspection.timing_ms[name] for name in STEPS},
        "map_height": height,
        "map_width": width,
        "evidence": inspection.evidence.astype("<f4").tobytes(),
    }


def recorded_of(row: Mapping[str, Any] | RowMapping) -> Recorded:
    """The inspection of a row with all columns."""
    shape = (row["map_height"], row["map_width"])
    inspection = Inspection(
        row["inference_id"],
        Origin(
            row["request_id"],
            row["received_at"],
            row["part_id"],
            row["key"],
            row["station"],
            row["idempotency_key"],
            row["challenge"],
            row["line"],
        ),
        Basis(
            row["model"],
            row["version"],
            row["variant"],
            Thresholds(row["threshold_review"], row["threshold_label"], row["threshold_reject"]),
            row["defect_rate"],
            row["serving_sha256"],
            row["input_size"],
            row["full_scale"],
            HeatmapScale(row["good_median"], row["region_threshold"], row["smoothing"]),
        ),
        Verdict(row["label"], row["decision"], row["probability"], row["log_odds"]),
        msgspec.json.decode(row["odd"], type=tuple[Odd, ...]),
        row["typicality"],
        SentImage(row["width"], row["height"], row["image_sha256"], row["image_bytes"]),
        np.frombuffer(row["evidence"], "<f4").reshape(shape),
        None if row["regions"] is None else msgspec.json.decode(row["regions"], type=list[Region]),
        {name: row[f"{name}_ms"] for name in STEPS},
    )
    return Recorded(inspection, row["image_path"], _target_of(row))


def _target_of(row: Mapping[str, Any] | RowMapping) -> Target | None:
    if row["target"] is None:
        return None
    return Target(row["target"], row["target_by"], row["target_at"], row["target_note"])
