"""The report of a training run, or of a version on labelled images: what `training.report` is told."""

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from model.artifact import read_artifact
from model.errors import DataError
from model.evidence import Pooling
from model.figures import Figures
from model.manifest import Manifest
from model.verdict import Thresholds
from training.data.dataset import Dataset
from training.data.samples import kinds_of
from training.evaluation.calibration import calibration_error
from training.evaluation.error_bounds import error_rates_of, summary
from training.evaluation.evaluate import Evaluation, stored_rule
from training.evaluation.post_processing import Method
from training.evaluation.prediction import Prediction
from training.evaluation.thresholds import LeastCost, Rule
from training.export.command import command
from training.recipe import Recipe, as_dict
from training.report import DataFacts, LearningCurve, Subject, write_report


def report_of_training(
    folder: Path,
    *,
    model: str,
    about: str,
    found: Dataset,
    recipe: Recipe,
    method: Method,
    predictions: Sequence[Prediction],
    figures: Figures,
    seconds: Mapping[str, float],
    thresholds: Thresholds | None = None,
    warnings: Sequence[str] = (),
    learning_curve: LearningCurve | None = None,
) -> None:
    """Write report.html and report.json into `folder`. `thresholds`: of the version that is exported with it, if any.

    Raises DataError where they can't be.
    """
    subject = _subject(
        found,
        method.rule,
        predictions,
        model=model,
        version=None,
        about=about,
        recipe=as_dict(recipe),
        input_size=recipe.input_size,
        full_scale=found.full_scale,
        seconds=dict(seconds),
        warnings=warnings,
        thresholds=thresholds,
        defect_rate=method.defect_rate,
        one_network=recipe.inner_folds == 0 and thresholds is not None,
        error_before_calibration=_error_before(predictions, recipe.pooling),
        learning_curve=learning_curve,
    )
    write_report(folder, subject, predictions, figures)


def report_of_version(
    folder: Path,
    *,
    model: str,
    version: int | None,
    about: str,
    manifest: Manifest,
    found: Dataset,
    predictions: Sequence[Prediction],
    figures: Figures,
    seconds: Mapping[str, float],
    defect_rate: float | None,
    thresholds: Thresholds | None = None,
    warnings: Sequence[str] = (),
) -> None:
    """The same of a stored network on labelled images. `thresholds`: where they were chosen anew, on parts of these."""
    subject = _subject(
        found,
        stored_rule(manifest),
        predictions,
        model=model,
        version=version,
        about=about,
        recipe=manifest.recipe,
        input_size=manifest.preprocessing.input_size,
        full_scale=manifest.preprocessing.full_scale,
        seconds=dict(seconds),
        warnings=warnings,
        thresholds=thresholds,
        defect_rate=defect_rate,
        calibrated_at=manifest.variant("float32").calibration.defect_rate,
        one_network=thresholds is not None,
        error_before_calibration=_error_before(predictions, manifest.pooling),
    )
    write_report(folder, subject, predictions, figures)


def _error_before(predictions: Sequence[Prediction], pooling: Pooling) -> float:
    """Calibration error of the sigmoid of the network's own log-odds."""
    own = pooling(np.stack([prediction.evidence for prediction in predictions]))
    return calibration_error(expit(own), np.array([prediction.sample.is_anomaly for prediction in predictions]))


def report_of_evaluation(folder: Path, evaluation: Evaluation, found: Dataset, seconds: Mapping[str, float]) -> None:
    """The same of what a version made of images that were labelled since."""
    path = evaluation.version
    report_of_version(
        folder,
        model=path.parent.name,
        version=int(path.name),
        about=f"version {path.name}, as it is in the store, judged these images",
        manifest=read_artifact(path).manifest,
        found=found,
        predictions=evaluation.predictions,
        figures=evaluation.figures,
        seconds=seconds,
        defect_rate=evaluation.defect_rate,
        warnings=evaluation.warnings,
    )


def copy_report(version: Path, folder: Path) -> None:
    """The report that lies in a version, into `folder`. Raises DataError where it can't be written."""
    try:
        shutil.copytree(version / "report", folder, dirs_exist_ok=True)
    except OSError as error:
        raise DataError(f"the report can't be written to {folder}: {error}") from error


def _subject(found: Dataset, rule: Rule, predictions: Sequence[Prediction], **members: Any) -> Subject:
    """With what all reports say alike."""
    return Subject(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command(),
        data=DataFacts(kinds_of(found.samples), found.duplicates, found.sizes, found.fingerprint),
        rule=str(rule),
        statements=[summary(error_rates_of(predictions))],
        cost_ratio=rule.miss_cost if isinstance(rule, LeastCost) else 10.0,
        **members,
    )
