"""Results as JSON, with one row per image."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from model.errors import DataError
from training.evaluation.prediction import Prediction


def check_writable(file: Path | None, folder: Path | None = None) -> None:
    """Raise DataError now, not after hours, where results can't be written to `file`, or a report into `folder`."""
    if file is not None and (file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK)):
        raise DataError(f"--json {file} can't be written")
    if folder is not None:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            raise DataError(f"the report can't be written to {folder}: {there} is no folder that can be written")


def write_results(path: Path, summary: Mapping[str, Any], predictions: Sequence[Prediction]) -> None:
    """Write the members of `summary` and then "images", a row each: `target` is the truth, `label` the verdict's.

    Raises DataError where the file can't be written.
    """
    results = {**summary, "images": [_row(prediction) for prediction in predictions]}
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
    except OSError as error:
        raise DataError(f"--json {path} can't be written: {error}") from error


def _row(prediction: Prediction) -> dict[str, Any]:
    return {
        "path": prediction.sample.name,
        "kind": prediction.sample.kind,
        "target": "anomaly" if prediction.sample.is_anomaly else "good",
        "label": prediction.label,
        "probability": prediction.probability,
        "threshold": prediction.thresholds.label,
        "fold": prediction.fold,
    }
