"""Builds the report of a training run, and of a stored version on labelled images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from model.artifact import read_artifact
from model.evidence import Pooling
from model.figures import Figures
from model.manifest import Manifest
from training.data.dataset import Dataset
from training.data.samples import kinds_of
from training.evaluation.calibration import calibration_error
from training.evaluation.error_bounds import error_rates_of, summary
from training.evaluation.evaluate import Evaluation, stored_rule
from training.evaluation.prediction import Prediction
from training.evaluation.thresholds import LeastCost, Rule
from training.provenance import command, now
from training.recipe import as_dict
from training.report.report import DataSummary, Report, Subject
from training.report.writer import write_report
from training.training_run import TrainingRun


def run_report(run: TrainingRun, model: str, about: str, predictions: Sequence[Prediction], figures: Figures) -> Report:
    """The report of a run's held-out predictions. `about`: what was measured, as a sentence."""
    subject = Subject(
        model=model,
        version=None,
        about=about,
        recipe=as_dict(run.recipe),
        input_size=run.resizing.heatmap_size,
        full_scale=run.dataset.full_scale,
        seconds=dict(run.reporter.seconds),
        defect_rate=run.method.defect_rate,
        error_before_calibration=error_before_calibration(predictions, run.method.pooling),
        **_common(run.dataset, run.method.rule, predictions),
    )
    return Report(subject, predictions, figures)


def version_report(
    manifest: Manifest, dataset: Dataset, model: str, about: str, predictions: Sequence[Prediction], figures: Figures
) -> Report:
    """The report of a stored network's predictions of labelled images."""
    subject = Subject(
        model=model,
        version=None,
        about=about,
        recipe=manifest.recipe,
        input_size=manifest.preprocessing.resizing.heatmap_size,
        full_scale=manifest.preprocessing.full_scale,
        seconds={},
        calibrated_at=manifest.variant("float32").calibration.defect_rate,
        error_before_calibration=error_before_calibration(predictions, manifest.pooling),
        **_common(dataset, stored_rule(manifest), predictions),
    )
    return Report(subject, predictions, figures)


def write_evaluation_report(
    folder: Path, evaluation: Evaluation, dataset: Dataset, seconds: Mapping[str, float]
) -> None:
    """Write the report of a version in the store on images labelled since. Raises as `write_report` does."""
    path = evaluation.version
    report = version_report(
        read_artifact(path).manifest,
        dataset,
        path.parent.name,
        f"version {path.name}, as it is in the store, predicted these images",
        evaluation.predictions,
        evaluation.figures,
    )
    report = report.amended(
        version=int(path.name),
        seconds=dict(seconds),
        defect_rate=evaluation.defect_rate,
        warnings=evaluation.warnings,
    )
    write_report(folder, report)


def error_before_calibration(predictions: Sequence[Prediction], pooling: Pooling) -> float:
    """Calibration error of the sigmoid of the network's own log-odds."""
    own = np.array([float(pooling(prediction.evidence)) for prediction in predictions])  # maps may differ in size
    return calibration_error(expit(own), np.array([prediction.sample.is_anomaly for prediction in predictions]))


def _common(dataset: Dataset, rule: Rule, predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Members of the subject that all reports take alike."""
    return {
        "created": now(),
        "command": command(),
        "data": DataSummary(kinds_of(dataset.samples), dataset.duplicates, dataset.sizes, dataset.fingerprint),
        "rule": str(rule),
        "statements": [summary(error_rates_of(predictions))],
        "cost_ratio": rule.miss_cost if isinstance(rule, LeastCost) else 10.0,
    }
