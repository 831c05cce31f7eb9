"""Predictions on images that exist, and a report's subject."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.verdict import Thresholds
from tests.training.conftest import part_image, save
from tests.training.predictions import prediction
from training.data.samples import kinds_of
from training.evaluation.prediction import Prediction
from training.report.report import DataSummary, Subject

MakeSubject = Callable[..., Subject]
MakePredictions = Callable[..., list[Prediction]]


@pytest.fixture(scope="session")
def make_predictions(tmp_path_factory: pytest.TempPathFactory) -> MakePredictions:
    """`good` and `bad` lists of probabilities, alternating between two folds unless there is one."""
    root = tmp_path_factory.mktemp("images")
    image = save(root / "image.png", part_image(0, defective=True))
    mask = np.zeros((48, 48), np.uint8)
    mask[16:24, 16:24] = 255
    mask_path = save(root / "mask.png", Image.fromarray(mask))
    evidence = np.zeros((7, 7), np.float32)
    evidence[2, 2] = 3.0

    def make(
        good: list[float], bad: list[float], *, kind: str = "dent", masks: bool = True, folds: int = 2, prefix: str = ""
    ) -> list[Prediction]:
        made = []
        for is_bad, probabilities in ((False, good), (True, bad)):
            for i, probability in enumerate(probabilities):
                name = f"{prefix}{'bad' if is_bad else 'good'}-{i}.png"
                said = prediction(
                    kind if is_bad else "good", probability, name=name, evidence=evidence,
                    mask=mask_path if is_bad and masks else None, fold=i % folds,
                )  # fmt: skip
                made.append(_at(said, image))
        return made

    return make


def _at(said: Prediction, image: Path) -> Prediction:
    return replace(said, sample=replace(said.sample, path=image))


def reviewed(said: Prediction, review: float, reject: float) -> Prediction:
    """The same with a review band."""
    return replace(said, thresholds=Thresholds(review, said.thresholds.label, reject))


@pytest.fixture
def make_subject() -> MakeSubject:
    def make(predictions: list[Prediction], **members: object) -> Subject:
        usual = {
            "model": "bolt",
            "version": 3,
            "created": "2026-11-23T22:41:07+00:00",
            "command": "python -m training fit --data parts",
            "recipe": {"name": "own", "input_size": 32, "optimizer": {"rate": 1e-4}},
            "input_size": 32,
            "full_scale": None,
            "data": DataSummary(kinds_of(p.sample for p in predictions), 2, {"48×48": len(predictions)}, "ab" * 32),
            "seconds": {"training": 75.0},
            "rule": "a fixed threshold of 0.5",
        }
        return Subject(**(usual | members))  # type: ignore[arg-type]

    return make
