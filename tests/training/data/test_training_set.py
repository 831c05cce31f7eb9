"""Who may learn from what: nothing made from an image that is held out, and no real defect unless it is asked for."""

from pathlib import Path

import numpy as np
import pytest

from training.data.samples import Sample
from training.data.training_set import Anomalies, TrainingSet

KINDS = ["dent", "good", "good", "dent", "good", "good"]
SOURCES = [1, 4, 5]
"""Good images that there are synthetic anomalies of; 2 has none."""


def training_set(anomalies: Anomalies) -> TrainingSet:
    """Six real samples and, unless real ones are all that is learnt from, 6 … 8 made from 1, 4 and 5."""
    real = [Sample(Path(f"{i}.png"), f"{i}.png", kind, group=str(i)) for i, kind in enumerate(KINDS)]
    if anomalies == "real":
        return TrainingSet(real, np.arange(6))
    made = [Sample(real[i].path, f"synthetic/{i}.png", "synthetic", group=str(i)) for i in SOURCES]
    return TrainingSet(real + made, np.array([*range(6), *SOURCES]), anomalies)


def test_what_is_real_and_what_is_defective() -> None:
    both = training_set("both")
    assert both.real.tolist() == [0, 1, 2, 3, 4, 5]
    assert both.is_synthetic.tolist() == [False] * 6 + [True] * 3
    assert both.is_anomaly.tolist() == [True, False, False, True, False, False, True, True, True]
    assert not training_set("real").is_synthetic.any()


@pytest.mark.parametrize(
    ("anomalies", "known", "learnt"),
    [
        ("real", [0, 1, 2], [0, 1, 2]),
        ("both", [0, 1, 2], [0, 1, 2, 6]),
        ("synthetic", [0, 1, 2], [1, 2, 6]),
        ("synthetic", [0, 3, 2], [2]),
        ("both", [5, 3, 4], [3, 4, 5, 7, 8]),
        ("synthetic", [0, 1, 2, 3, 4, 5], [1, 2, 4, 5, 6, 7, 8]),
    ],
)
def test_nothing_made_from_a_held_out_image_is_learnt_from(
    anomalies: Anomalies, known: list[int], learnt: list[int]
) -> None:
    assert sorted(training_set(anomalies).train_indices(np.array(known)).tolist()) == learnt


@pytest.mark.parametrize(
    ("anomalies", "real", "calibration"),
    [
        ("real", [0, 1, 2], [0, 1, 2]),
        ("both", [0, 1, 2], [0, 1, 2]),
        ("synthetic", [0, 1, 2], [1, 2, 6]),
        ("synthetic", [3, 4, 5], [4, 5, 7, 8]),
    ],
)
def test_synthetic_anomalies_stand_in_for_real_ones_never_beside_them(
    anomalies: Anomalies, real: list[int], calibration: list[int]
) -> None:
    assert sorted(training_set(anomalies).calibration_indices(np.array(real)).tolist()) == calibration
