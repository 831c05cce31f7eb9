"""What a report says it is about: a version exported with it, a cross-validation, a version on new images."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.artifact import read_artifact
from model.errors import DataError
from model.evidence import Pooling
from model.verdict import Thresholds, logit
from tests.support.artifacts import publish
from tests.training.conftest import quiet, tiny_fine_tuning, tiny_patches
from tests.training.predictions import prediction
from tests.training.report.reader import Reader
from training.data.dataset import Dataset
from training.evaluation.evaluate import Evaluation, evaluate
from training.evaluation.post_processing import Method
from training.evaluation.thresholds import BestBalancedAccuracy, LeastCost
from training.report import CurvePoint, LearningCurve
from training.report.reporting import (
    _error_before,
    copy_report,
    report_of_evaluation,
    report_of_training,
    report_of_version,
)


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory, found: Dataset) -> Evaluation:
    return evaluate(publish(tmp_path_factory.mktemp("store"), "spots"), found, "cpu", quiet())


@pytest.fixture(scope="module")
def parts(evaluation: Evaluation) -> Evaluation:
    """As if two parts had been judged, each at its own thresholds."""
    levels = [Thresholds(0.4, 0.4, 0.4), Thresholds(0.6, 0.6, 0.6)]
    judged = [
        replace(prediction, fold=i % 2, thresholds=levels[i % 2]) for i, prediction in enumerate(evaluation.predictions)
    ]
    return replace(evaluation, predictions=judged)


def words(folder: Path) -> str:
    return Reader((folder / "report.html").read_text()).words


def trained(folder: Path, found: Dataset, judged: Evaluation, **members: Any) -> str:
    usual: dict[str, Any] = {
        "model": "spots",
        "about": "a cross-validation",
        "recipe": tiny_patches(),
        "method": Method(Pooling(), LeastCost(5)),
        "seconds": {"training": 1.0},
    }
    report_of_training(folder, found=found, predictions=judged.predictions, figures=judged.figures, **(usual | members))
    return words(folder)


def test_cross_validation_is_of_several_models_and_exports_nothing(
    tmp_path: Path, found: Dataset, parts: Evaluation
) -> None:
    text = trained(tmp_path, found, parts)
    assert "spots: inspection report" in text
    assert "A cross-validation." in text
    assert "The exported version" not in text
    assert "Model by model" in text
    assert "Each of 2 models chose its own threshold" in text
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["subject"]["version"] is None
    assert report["subject"]["cost_ratio"] == 5.0
    assert report["subject"]["data"]["fingerprint"] == found.fingerprint


def test_an_exported_version_has_its_thresholds_and_its_learning_curve(
    tmp_path: Path, found: Dataset, parts: Evaluation
) -> None:
    curve = LearningCurve("AUROC", [CurvePoint(3, [0.8, 0.9]), CurvePoint(8, [0.9, 0.95])])
    text = trained(
        tmp_path, found, parts, thresholds=Thresholds(0.5, 0.5, 0.5), warnings=["too few"], learning_curve=curve
    )
    assert "The exported version rejects from 0.5." in text
    assert "Model by model" in text
    assert "Too few." in text
    assert "Learning curve" in text


def test_the_published_recipe_judges_with_one_network(tmp_path: Path, found: Dataset, parts: Evaluation) -> None:
    """What `fit` holds out; its cross-validation is of several again."""
    text = trained(tmp_path, found, parts, recipe=tiny_fine_tuning(), thresholds=Thresholds())
    assert "Part by part" in text
    assert "Each of 2 parts of the images is judged at thresholds chosen on the others" in text
    assert "model trained on the others" not in text
    assert "Model by model" in trained(tmp_path, found, parts, recipe=tiny_fine_tuning())


def test_a_version_on_new_images(tmp_path: Path, found: Dataset, evaluation: Evaluation) -> None:
    report_of_evaluation(tmp_path, evaluation, found, {"judging": 1.0})
    text = words(tmp_path)
    assert "spots, version 1" in text
    assert "Version 1, as it is in the store, judged these images." in text
    assert "Least expected cost, where a missed defect costs as much as 10 false rejects." in text
    assert "for parts of which 33.3 % are defective, as the images are that they were calibrated on" in text
    assert "by part" not in text
    assert "Before you trust these figures" not in text


def test_a_version_on_images_that_it_knows(tmp_path: Path, found: Dataset, evaluation: Evaluation) -> None:
    flattered = replace(evaluation, warnings=["these are the very images"], defect_rate=0.01)
    report_of_evaluation(tmp_path, flattered, found, {"judging": 1.0})
    assert "Before you trust these figures These are the very images." in words(tmp_path)
    assert "where 1 % of parts are defective" in words(tmp_path)


def test_a_version_with_new_thresholds(tmp_path: Path, found: Dataset, parts: Evaluation) -> None:
    report_of_version(
        tmp_path,
        model="spots",
        version=None,
        about="the network of version 1",
        manifest=read_artifact(parts.version).manifest,
        found=found,
        predictions=parts.predictions,
        figures=parts.figures,
        seconds={"judging": 1.0},
        defect_rate=None,
        thresholds=Thresholds(0.5, 0.5, 0.5),
    )
    text = words(tmp_path)
    assert "The network of version 1." in text
    assert "One network judged all images, each part at thresholds chosen on the others." in text
    assert "The exported version rejects from 0.5." in text


def test_best_balanced_accuracy_has_no_cost_of_its_own(tmp_path: Path, found: Dataset, parts: Evaluation) -> None:
    trained(tmp_path, found, parts, method=Method(Pooling(), BestBalancedAccuracy(), 0.05))
    subject = json.loads((tmp_path / "report.json").read_text())["subject"]
    assert (subject["cost_ratio"], subject["defect_rate"]) == (10.0, 0.05)
    assert np.isclose(sum(subject["data"]["kinds"].values()), 22)


def test_a_report_is_copied_whole(tmp_path: Path) -> None:
    (tmp_path / "1" / "report").mkdir(parents=True)
    (tmp_path / "1" / "report" / "report.html").write_text("page")
    copy_report(tmp_path / "1", tmp_path / "out" / "there")
    assert (tmp_path / "out" / "there" / "report.html").read_text() == "page"
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="the report can't be written to"):
        copy_report(tmp_path / "1", tmp_path / "file")


def test_the_error_before_calibration_is_of_the_networks_own_log_odds() -> None:
    """It says 0.9 of every image, whatever the calibrated probability; half of them are defective."""
    surely = np.full((4, 4), logit(0.9), np.float32)
    said = [prediction(kind, 0.5, evidence=surely) for kind in ("good", "dent")] * 20
    assert _error_before(said, Pooling(0.25)) == pytest.approx(0.4)
