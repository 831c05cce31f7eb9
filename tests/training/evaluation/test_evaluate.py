"""A version on labelled images: predicted as the service predicts them, and the reader warned where that flatters."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model.artifact import MANIFEST, read_artifact
from model.detector import load_detector
from model.errors import DataError, ManifestError
from model.verdict import Thresholds, logit, sigmoid
from tests.support.artifacts import publish, resum
from tests.training.conftest import quiet
from training.data.dataset import Dataset
from training.evaluation.evaluate import evaluate, results, stored_rule
from training.evaluation.thresholds import LeastCost


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """Calibrated at a third of defects."""
    return publish(tmp_path / "store", "spots")


def say(version: Path, *path: str, value: object) -> None:
    """Change one member of the manifest."""
    manifest = json.loads((version / MANIFEST).read_text())
    table: dict[str, Any] = manifest
    for name in path[:-1]:
        table = table[name]
    table[path[-1]] = value
    (version / MANIFEST).write_text(json.dumps(manifest))
    resum(version)


@pytest.mark.parametrize("rate", [None, 0.02])
def test_every_image_gets_the_services_answer(version: Path, dataset: Dataset, rate: float | None) -> None:
    evaluation = evaluate(version, dataset, "cpu", quiet(), rate)
    detector = load_detector(version, "cpu", rate)
    assert [prediction.sample for prediction in evaluation.predictions] == dataset.samples
    for prediction in evaluation.predictions:
        pixels = detector.read_image(prediction.sample.path.read_bytes()).pixels
        verdict = detector.verdict(detector.run(pixels).evidence)
        assert prediction.probability == pytest.approx(verdict.probability, abs=1e-6)
        assert (prediction.label, prediction.decision) == (verdict.label, verdict.decision)
    assert evaluation.figures.protocol == "22 images by version 1 of 'spots'"
    assert (evaluation.defect_rate, list(evaluation.warnings)) == (rate, [])
    assert results(evaluation) == {"model": "spots", "version": 1, "figures": evaluation.figures}


def test_images_that_the_gate_stops_are_warned_of(tmp_path: Path, dataset: Dataset) -> None:
    version = publish(tmp_path / "store", "spots", limits={"size": (0, 10), "aspect": (2, 3)})
    evaluation = evaluate(version, dataset, "cpu", quiet())
    first = evaluation.predictions[0].sample.name
    (warning,) = evaluation.warnings
    assert warning.startswith(f"22 of 22 images are not inspectable (size 22, aspect 22), as {first}: the service")
    assert all(prediction.distance > 0 for prediction in evaluation.predictions)


def test_losses_are_taken_at_the_images_own_defect_rate(version: Path, dataset: Dataset) -> None:
    """The version's calibration holds at a third of defects, and 10 of these 22 are."""
    detector = load_detector(version, "cpu")
    for prediction in evaluate(version, dataset, "cpu", quiet()).predictions:
        verdict = detector.verdict(prediction.evidence)
        assert prediction.log_odds - verdict.log_odds == pytest.approx(logit(10 / 22) - logit(1 / 3))
        assert sigmoid(prediction.log_odds + prediction.shift) == pytest.approx(verdict.probability)


@pytest.mark.parametrize(("prior_invariant", "moved"), [(True, True), (False, False)])
def test_thresholds_move_with_the_lines_share_as_in_the_service(
    version: Path, dataset: Dataset, prior_invariant: bool, moved: bool
) -> None:
    say(version, "operating_point", "prior_invariant", value=prior_invariant)
    own, line = (evaluate(version, dataset, "cpu", quiet(), rate).predictions for rate in (None, 0.01))
    assert {prediction.thresholds for prediction in own} == {Thresholds(0.3, 0.42, 0.6)}
    assert ({prediction.thresholds for prediction in line} != {Thresholds(0.3, 0.42, 0.6)}) == moved
    if moved:
        assert [prediction.decision for prediction in line] == [prediction.decision for prediction in own]


def test_the_versions_own_line_is_kept(tmp_path: Path, dataset: Dataset) -> None:
    version = publish(tmp_path, "spots", defect_rate=0.05)
    assert evaluate(version, dataset, "cpu", quiet()).defect_rate == 0.05


@pytest.mark.parametrize(
    ("path", "warning"),
    [
        (("data", "fingerprint"), "the very images that the version was made from"),
        (("operating_point", "fingerprint"), "the very images that its thresholds were chosen on"),
    ],
)
def test_images_that_the_version_knows_are_warned_of(
    version: Path, dataset: Dataset, path: tuple[str, str], warning: str
) -> None:
    say(version, *path, value=dataset.fingerprint)
    (said,) = evaluate(version, dataset, "cpu", quiet()).warnings
    assert warning in said


def test_one_class_alone_measures_nothing(version: Path, dataset: Dataset) -> None:
    good = [sample for sample in dataset.samples if not sample.is_anomaly]
    with pytest.raises(DataError, match="only one class is there"):
        evaluate(version, replace(dataset, samples=good), "cpu", quiet())


def test_the_rule_of_a_version(version: Path) -> None:
    assert stored_rule(read_artifact(version).manifest) == LeastCost(10.0)
    say(version, "operating_point", "rule", value={"name": "by-moonlight"})
    with pytest.raises(ManifestError, match=r"rule for thresholds is not known here.*by-moonlight"):
        stored_rule(read_artifact(version).manifest)
