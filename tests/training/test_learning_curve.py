"""More defects to learn from, the same images to be predicted."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from model.errors import DataError
from tests.training.conftest import fitting, tiny_patches, training_run
from training.data.dataset import Dataset
from training.data.splits import Indices, make_folds
from training.data.training_set import TrainingSet
from training.estimators.estimator import FittedEstimator, PreparedEstimator
from training.estimators.patches import PreparedPatches
from training.features.imagenet import Trunk
from training.learning_curve import CurvePoint, learning_curve, read_curve
from training.progress import Advance
from training.report.results import write_results
from training.training_run import TrainingRun

FOLDS = 3
"""Inner ones: of four networks a draw, the last learns from all that the draw may."""


@dataclass(frozen=True)
class Watched:
    """Keeps what each network of a copy of an estimator learns from."""

    inner: PreparedEstimator
    learnt: list[Indices] = field(default_factory=list)

    @property
    def training_set(self) -> TrainingSet:
        return self.inner.training_set

    @property
    def estimator(self) -> PreparedEstimator:
        return fitting(self.inner, self._fit)

    def _fit(self, indices: Indices, advance: Advance) -> FittedEstimator:
        self.learnt.append(indices)
        return self.inner.fit(indices, advance)


@pytest.fixture(scope="module")
def run(dataset: Dataset, trunk: Trunk) -> TrainingRun:
    return training_run(dataset, trunk, tiny_patches())


@pytest.fixture(scope="module")
def watched(patches: PreparedPatches) -> Watched:
    return Watched(patches)


@pytest.fixture(scope="module")
def points(watched: Watched, run: TrainingRun) -> list[CurvePoint]:
    return learning_curve(watched.estimator, run, [3, 3, 40], 2)


def test_a_point_for_each_number_of_defects_and_for_all(points: list[CurvePoint]) -> None:
    assert [point.defects for point in points] == [3, 4]
    for point in points:
        assert len(point.auroc) == len(point.balanced_accuracy) == 2
        assert min(point.auroc) > 0.8


def test_each_draw_learns_from_so_many_defects_and_all_good_images(watched: Watched, points: list[CurvePoint]) -> None:
    training_set = watched.training_set
    splits = make_folds(training_set.samples, 2, tiny_patches().seed)
    outer = watched.learnt[FOLDS :: FOLDS + 1]
    assert len(outer) == len(points) * len(splits)
    for number, chosen in enumerate(outer):
        split = splits[number % 2]
        assert training_set.is_anomaly[chosen].sum() == points[number // 2].defects
        assert set(chosen[~training_set.is_anomaly[chosen]]) == set(split.train[~training_set.is_anomaly[split.train]])
        for inner in watched.learnt[number * (FOLDS + 1) : (number + 1) * (FOLDS + 1)]:
            assert set(inner) <= set(chosen)
    for fewer, more in zip(outer, outer[2:], strict=False):
        assert set(fewer) <= set(more)
    assert set(outer[0]) != set(outer[1])


def test_too_few_for_the_inner_folds_is_a_clear_error(patches: PreparedPatches, run: TrainingRun) -> None:
    with pytest.raises(DataError, match="class anomaly has 2 image"):
        learning_curve(patches, run, [2], 2)


def test_a_report_can_read_what_was_written(points: list[CurvePoint], tmp_path: Path) -> None:
    write_results(tmp_path / "curve.json", {"recipe": {}, "learning_curve": points}, [])
    curve = read_curve(tmp_path / "curve.json")
    assert curve.measure == "AUROC"
    assert [(point.defects, list(point.values)) for point in curve.points] == [
        (point.defects, point.auroc) for point in points
    ]


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"learning_curve": 3}', b"\xff"])
def test_what_is_no_curve_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "curve.json").write_bytes(content)
    with pytest.raises(DataError, match=r"curve\.json is not what `curve --json` writes"):
        read_curve(tmp_path / "curve.json")


def test_a_curve_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.json can't be read: No such file"):
        read_curve(tmp_path / "nowhere.json")


def test_draws_are_of_the_training_part_alone(watched: Watched, points: list[CurvePoint]) -> None:
    splits = make_folds(watched.training_set.samples, 2, tiny_patches().seed)
    for number in range(2 * len(points)):
        seen = np.concatenate(watched.learnt[number * (FOLDS + 1) : (number + 1) * (FOLDS + 1)])
        assert not np.intersect1d(seen, splits[number % 2].test).size
