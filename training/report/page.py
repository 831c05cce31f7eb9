"""The page itself: what the templates are given."""

from collections.abc import Sequence
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from model.figures import Figures
from training.evaluation.prediction import Prediction
from training.report import words
from training.report.charts import draw_charts
from training.report.curves import Curves
from training.report.gallery import Gallery
from training.report.kinds import kind_rows
from training.report.operation import decision_of, operate
from training.report.pictures import take_pictures
from training.report.subject import Subject

_FILTERS: Final = {
    "percent": words.percent,
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


def render_page(
    subject: Subject,
    predictions: Sequence[Prediction],
    figures: Figures,
    curves: Curves,
    galleries: Sequence[Gallery],
) -> str:
    """One HTML document that needs nothing beside itself. What strangers named is escaped (autoescape)."""
    operation = operate(predictions, figures, subject.defect_rate)
    return _environment().get_template("page.html").render(
        subject=subject,
        figures=figures,
        operation=operation,
        cost=curves.cost,
        charts=draw_charts(curves, figures, operation, subject.learning_curve),
        kinds=kind_rows(figures),
        galleries=galleries,
        pictures=lambda prediction: take_pictures(prediction, subject.input_size, subject.full_scale),
        decision_of=decision_of,
        defect_rate=subject.calibrated_at or (figures.true_positives + figures.false_negatives) / len(predictions),
    )  # fmt: skip


def _environment() -> Environment:
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
