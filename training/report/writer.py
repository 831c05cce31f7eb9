"""A report on disk: report.html for people, report.json for programs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from model.errors import DataError
from model.figures import Figures
from training.evaluation.prediction import Prediction
from training.report.curves import Curves, trace
from training.report.gallery import Gallery, choose_galleries
from training.report.page import render_page
from training.report.subject import Subject

_HTML: Final = "report.html"
_JSON: Final = "report.json"


def write_report(folder: Path, subject: Subject, predictions: Sequence[Prediction], figures: Figures) -> list[Path]:
    """Write both files into `folder`, which is made where it isn't there; returns their paths.

    `figures` are those measured on `predictions`. The same arguments give the same bytes. Raises DataError where the
    files can't be written.
    """
    curves = trace(predictions, figures, defect_rate=subject.defect_rate, cost_ratio=subject.cost_ratio)
    galleries = choose_galleries(predictions)
    contents = {
        _HTML: render_page(subject, predictions, figures, curves, galleries).encode(),
        _JSON: _json(subject, figures, curves, galleries),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise DataError(f"the report can't be written to {folder}: {error}") from error
    return [folder / name for name in contents]


def _json(subject: Subject, figures: Figures, curves: Curves, galleries: Sequence[Gallery]) -> bytes:
    everything: dict[str, Any] = {
        "subject": subject,
        "figures": figures,
        "curves": curves,
        "galleries": {gallery.name: [prediction.sample.name for prediction in gallery.shown] for gallery in galleries},
    }
    return msgspec.json.format(msgspec.json.encode(everything), indent=2) + b"\n"
