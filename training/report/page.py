"""Renders the page from the templates."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from training.report import words
from training.report.charts import draw_charts
from training.report.curves import Curves
from training.report.decisions import summarise_decisions
from training.report.gallery import Gallery
from training.report.kinds import kind_rows
from training.report.report import Report
from training.report.thumbnails import make_thumbnails

_FILTERS: Final = {
    "percent": words.percent,
    "ppm": words.ppm,
    "interval": words.interval,
    "span": words.span,
    "likely": words.likely,
    "decimal": words.decimal,
    "count": words.count,
    "out_of": words.out_of,
    "moment": words.moment,
    "duration": words.duration,
    "sentence": words.sentence,
    "settings": words.settings,
}


def render_page(report: Report, curves: Curves, galleries: Sequence[Gallery]) -> str:
    """One HTML document that needs nothing beside itself. What strangers named is escaped (autoescape)."""
    subject, figures = report.subject, report.figures
    decisions = summarise_decisions(report.predictions, figures, subject.defect_rate)
    data_rate = (figures.true_positives + figures.false_negatives) / len(report.predictions)
    return environment().get_template("page.html").render(
        subject=subject,
        figures=figures,
        decisions=decisions,
        cost=curves.cost,
        charts=draw_charts(curves, figures, decisions, subject.learning_curve),
        kinds=kind_rows(figures),
        galleries=galleries,
        has_roi=any(np.isneginf(prediction.evidence).any() for prediction in report.predictions),
        thumbnails=lambda prediction: make_thumbnails(prediction, subject.input_size, subject.full_scale),
        calibrated_at=subject.calibrated_at or data_rate,
    )  # fmt: skip


def environment() -> Environment:
    """Templates of the package, with the filters of `words`."""
    environment = Environment(
        loader=PackageLoader("training.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= _FILTERS
    return environment
