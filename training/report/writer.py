"""A report on disk: report.html for people, report.json for programs."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from model.errors import DataError
from training.report.curves import Curves, trace
from training.report.gallery import Gallery, choose_galleries
from training.report.page import render_page
from training.report.report import Report

_HTML: Final = "report.html"
_JSON: Final = "report.json"


def write_report(folder: Path, report: Report) -> list[Path]:
    """Write both files into `folder`, which is made where it isn't there; returns their paths.

    The same report gives the same bytes. Raises DataError where the files can't be written.
    """
    subject = report.subject
    curves = trace(report.predictions, report.figures, defect_rate=subject.defect_rate, cost_ratio=subject.cost_ratio)
    galleries = choose_galleries(report.predictions)
    contents = {
        _HTML: render_page(report, curves, galleries).encode(),
        _JSON: _json(report, curves, galleries),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise DataError(f"the report can't be written to {folder}: {error}") from error
    return [folder / name for name in contents]


def copy_report(version: Path, folder: Path) -> None:
    """Copy the report that lies in a version into `folder`. Raises DataError where it can't be written."""
    try:
        shutil.copytree(version / "report", folder, dirs_exist_ok=True)
    except OSError as error:
        raise DataError(f"the report can't be written to {folder}: {error}") from error


def _measured_images(report: Report) -> dict[str, Any]:
    """Log-odds of every image by kind, ascending, and the defect rate at which they hold: for other thresholds."""
    by_kind: dict[str, list[float]] = {}
    for prediction in sorted(report.predictions, key=lambda each: each.log_odds):
        by_kind.setdefault(prediction.sample.kind, []).append(prediction.log_odds)
    defects = sum(prediction.sample.is_anomaly for prediction in report.predictions)
    rate = report.subject.calibrated_at or defects / len(report.predictions)
    return {"defect_rate": rate, "log_odds": dict(sorted(by_kind.items()))}


def _json(report: Report, curves: Curves, galleries: Sequence[Gallery]) -> bytes:
    everything: dict[str, Any] = {
        "subject": report.subject,
        "figures": report.figures,
        "curves": curves,
        "measured_images": _measured_images(report),
        "galleries": {gallery.name: [prediction.sample.name for prediction in gallery.shown] for gallery in galleries},
    }
    return msgspec.json.format(msgspec.json.encode(everything), indent=2) + b"\n"
