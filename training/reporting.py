"""The report of a training run: what `training.report` is told."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from model.manifest import Figures
from model.verdict import Thresholds
from training.command import command
from training.dataset import kinds_of
from training.judge import Method
from training.prediction import Prediction
from training.promises import outcome_of, sentence
from training.recipe import Recipe, as_dict
from training.report import DataFacts, LearningCurve, Subject, write_report
from training.survey import Survey
from training.thresholds import LeastCost


def report_of(
    folder: Path,
    *,
    model: str,
    found: Survey,
    recipe: Recipe,
    method: Method,
    predictions: Sequence[Prediction],
    figures: Figures,
    seconds: Mapping[str, float],
    warnings: Sequence[str] = (),
    thresholds: Thresholds | None = None,
    learning_curve: LearningCurve | None = None,
) -> list[Path]:
    """Write report.html and report.json into `folder`. Raises DataError where they can't be."""
    subject = Subject(
        model=model,
        version=None,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command(),
        recipe=as_dict(recipe),
        input_size=recipe.input_size,
        full_scale=found.full_scale,
        data=DataFacts(kinds_of(found.samples), found.duplicates, found.sizes, found.fingerprint),
        seconds=dict(seconds),
        rule=str(method.rule),
        statements=[sentence(outcome_of(predictions))],
        warnings=warnings,
        thresholds=thresholds,
        defect_rate=method.defect_rate,
        cost_ratio=method.rule.miss_cost if isinstance(method.rule, LeastCost) else 10.0,
        learning_curve=learning_curve,
    )
    return write_report(folder, subject, predictions, figures)
