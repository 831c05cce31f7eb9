"""What a report says it is about: a version exported with it, a cross-validation, a version on new images."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.artifact import read_artifact
from model.evidence import Pooling
from model.verdict import Thresholds, logit
from tests.support.artifacts import publish
from tests.training.conftest import quiet, tiny_patches, training_run
from tests.training.predictions import prediction
from tests.training.report.reader import Reader
from training.data.dataset import Dataset
from training.evaluation.evaluate import Evaluation, evaluate
from training.evaluation.thresholds import BestBalancedAccuracy, LeastCost
from training.features.imagenet import Trunk
from training.report.builders import error_before_calibration, run_report, version_report, write_evaluation_report
from training.report.report import CurvePoint, LearningCurve
from training.report.writer import write_report
from training.training_run import TrainingRun


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Evaluation:
    return evaluate(publish(tmp_path_factory.mktemp("store"), "spots"), dataset, "cpu", quiet())


@pytest.fixture(scope="module")
def in_folds(evaluation: Evaluation) -> Evaluation:
    """As if it had been done in two folds, each at its own thresholds."""
    thresholds = [Thresholds(0.4, 0.4, 0.4), Thresholds(0.6, 0.6, 0.6)]
    predictions = [
        replace(prediction, fold=i % 2, thresholds=thresholds[i % 2])
        for i, prediction in enumerate(evaluation.predictions)
    ]
    return replace(evaluation, predictions=predictions)


@pytest.fixture
def run(dataset: Dataset, trunk: Trunk) -> TrainingRun:
    run = training_run(dataset, trunk, tiny_patches(), rule=LeastCost(5))
    run.reporter.seconds["training"] = 61.0
    return run


def words(folder: Path) -> str:
    return Reader((folder / "report.html").read_text()).words


def report_words(folder: Path, run: TrainingRun, evaluation: Evaluation, **members: Any) -> str:
    report = run_report(run, "spots", "a cross-validation", evaluation.predictions, evaluation.figures)
    write_report(folder, report.amended(**members))
    return words(folder)


def test_cross_validation_is_of_several_models_and_exports_nothing(
    tmp_path: Path, run: TrainingRun, in_folds: Evaluation
) -> None:
    text = report_words(tmp_path, run, in_folds)
    assert "spots: inspection report" in text
    assert "A cross-validation." in text
    assert "The exported version" not in text
    assert "Model by model" in text
    assert "Each of 2 models chose its own threshold" in text
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["subject"]["version"] is None
    assert report["subject"]["seconds"]["training"] == 61.0
    assert report["subject"]["cost_ratio"] == 5.0
    assert report["subject"]["data"]["fingerprint"] == run.dataset.fingerprint


def test_an_exported_version_has_its_thresholds_and_its_learning_curve(
    tmp_path: Path, run: TrainingRun, in_folds: Evaluation
) -> None:
    curve = LearningCurve("AUROC", [CurvePoint(3, [0.8, 0.9]), CurvePoint(8, [0.9, 0.95])])
    text = report_words(
        tmp_path, run, in_folds, thresholds=Thresholds(0.5, 0.5, 0.5), warnings=["too few"], learning_curve=curve
    )
    assert "The exported version rejects from 0.5." in text
    assert "Model by model" in text
    assert "Too few." in text
    assert "Learning curve" in text


def test_one_network_may_have_predicted_all(tmp_path: Path, run: TrainingRun, in_folds: Evaluation) -> None:
    text = report_words(tmp_path, run, in_folds, one_network=True)
    assert "Fold by fold" in text
    assert "Each of 2 folds of the images has thresholds chosen on the others" in text
    assert "model trained on the others" not in text


def test_a_version_on_new_images(tmp_path: Path, dataset: Dataset, evaluation: Evaluation) -> None:
    write_evaluation_report(tmp_path, evaluation, dataset, {"predicting": 1.0})
    text = words(tmp_path)
    assert "spots, version 1" in text
    assert "Version 1, as it is in the store, predicted these images." in text
    assert "Least expected cost, where a missed defect costs as much as 10 false rejects." in text
    assert "for parts of which 33.3 % are defective, as the images are that they were calibrated on" in text
    assert "by fold" not in text
    assert "Before you trust these figures" not in text


def test_a_version_on_images_that_it_knows(tmp_path: Path, dataset: Dataset, evaluation: Evaluation) -> None:
    flattered = replace(evaluation, warnings=["these are the very images"], defect_rate=0.01)
    write_evaluation_report(tmp_path, flattered, dataset, {"predicting": 1.0})
    assert "Before you trust these figures These are the very images." in words(tmp_path)
    assert "where 1 % of parts are defective" in words(tmp_path)


def test_a_version_with_new_thresholds(tmp_path: Path, dataset: Dataset, in_folds: Evaluation) -> None:
    manifest = read_artifact(in_folds.version).manifest
    about = "the network of version 1"
    report = version_report(manifest, dataset, "spots", about, in_folds.predictions, in_folds.figures)
    write_report(tmp_path, report.amended(thresholds=Thresholds(0.5, 0.5, 0.5), one_network=True))
    text = words(tmp_path)
    assert "The network of version 1." in text
    assert "One network predicted all images, each fold at thresholds chosen on the others." in text
    assert "The exported version rejects from 0.5." in text


def test_best_balanced_accuracy_has_no_cost_of_its_own(
    tmp_path: Path, dataset: Dataset, trunk: Trunk, in_folds: Evaluation
) -> None:
    run = training_run(dataset, trunk, tiny_patches(), rule=BestBalancedAccuracy(), defect_rate=0.05)
    report_words(tmp_path, run, in_folds)
    subject = json.loads((tmp_path / "report.json").read_text())["subject"]
    assert (subject["cost_ratio"], subject["defect_rate"]) == (10.0, 0.05)
    assert np.isclose(sum(subject["data"]["kinds"].values()), 22)


def test_the_error_before_calibration_is_of_the_networks_own_log_odds() -> None:
    """It gives 0.9 to every image, whatever the calibrated probability; half of them are defective."""
    surely = np.full((4, 4), logit(0.9), np.float32)
    predictions = [prediction(kind, 0.5, evidence=surely) for kind in ("good", "dent")] * 20
    assert error_before_calibration(predictions, Pooling(0.25)) == pytest.approx(0.4)
