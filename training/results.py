"""Results for programs: JSON with one row per image."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from model.errors import DataError
from training.prediction import Prediction


def check_place(path: Path | None) -> None:
    """Raise DataError now, not after hours, where results can't be written to `path`."""
    if path is not None and (path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK)):
        raise DataError(f"--json {path} can't be written")


def write_results(path: Path, summary: Mapping[str, Any], predictions: Sequence[Prediction]) -> None:
    """Write `summary`'s members and then "images", a row each; there, "label" is the truth. Raises DataError."""
    results = {**summary, "images": [_row(prediction) for prediction in predictions]}
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
    except OSError as error:
        raise DataError(f"--json {path} can't be written: {error}") from error


def _row(prediction: Prediction) -> dict[str, Any]:
    return {
        "path": prediction.sample.name,
        "kind": prediction.sample.kind,
        "label": "anomaly" if prediction.sample.is_anomaly else "good",
        "probability": prediction.probability,
        "threshold": prediction.thresholds.label,
        "fold": prediction.fold,
    }
