"""What the production line's own defect rate and thresholds do to verdicts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model.detector import Detector, load_detector
from model.verdict import Thresholds, prior_shift
from tests.support.artifacts import publish

LEVELS = (-0.4, -0.12, -0.08, -0.04, 0.0, 0.03, 0.05, 0.2, 0.4)
"""Pooled evidence; the slope is 10."""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    """Calibrated at a third of defects; review from 0.3, anomaly from 0.42, reject from 0.6."""
    return load_detector(publish(tmp_path_factory.mktemp("store")), "cpu")


def exported(detector: Detector, *, prior_invariant: bool, exported_for: float | None = None) -> Detector:
    operating_point = replace(
        detector.manifest.operating_point, prior_invariant=prior_invariant, defect_rate=exported_for
    )
    return replace(detector, manifest=replace(detector.manifest, operating_point=operating_point))


def evidence(level: float) -> NDArray[np.float32]:
    return np.full((4, 4), level, np.float32)


def decisions(detector: Detector) -> list[tuple[str, str]]:
    verdicts = [detector.verdict(evidence(level)) for level in LEVELS]
    return [(verdict.label, verdict.decision) for verdict in verdicts]


@pytest.mark.parametrize("prior_invariant", [True, False])
@pytest.mark.parametrize("exported_for", [None, 0.05])
@pytest.mark.parametrize("rate", [0.001, 0.02, 0.5])
def test_log_odds_shift_by_the_odds_of_the_lines_share(
    loaded: Detector, prior_invariant: bool, exported_for: float | None, rate: float
) -> None:
    """From the calibration's share, whatever the version was exported for."""
    version = exported(loaded, prior_invariant=prior_invariant, exported_for=exported_for)
    line = replace(version, line_rate=rate)
    assert (version.defect_rate, line.defect_rate) == (exported_for or 1 / 3, rate)
    for level in LEVELS:
        before, after = (detector.verdict(evidence(level)).log_odds for detector in (loaded, line))
        assert after - before == pytest.approx(prior_shift(1 / 3, rate))


@pytest.mark.parametrize("exported_for", [None, 0.05])
@pytest.mark.parametrize("rate", [0.001, 0.02, 0.5])
def test_a_rule_of_rates_keeps_its_verdicts(loaded: Detector, exported_for: float | None, rate: float) -> None:
    version = exported(loaded, prior_invariant=True, exported_for=exported_for)
    line = replace(version, line_rate=rate)
    assert {decision for _, decision in decisions(version)} >= {"accept", "reject"}
    assert decisions(line) == decisions(version)
    assert line.thresholds == version.thresholds.moved(prior_shift(version.defect_rate, rate))
    assert line.thresholds != version.thresholds


def test_a_rule_of_costs_keeps_its_thresholds(loaded: Detector) -> None:
    """At a share of 2 % fewer images are worth a reject at the same cost."""
    version = exported(loaded, prior_invariant=False)
    line = replace(version, line_rate=0.02)
    assert line.thresholds == version.thresholds == Thresholds(0.3, 0.42, 0.6)
    labels = [[label for label, _ in decisions(detector)].count("anomaly") for detector in (version, line)]
    assert labels[1] < labels[0]


@pytest.mark.parametrize("prior_invariant", [True, False])
@pytest.mark.parametrize("rate", [None, 0.02])
def test_the_lines_thresholds_decide_as_they_are(loaded: Detector, prior_invariant: bool, rate: float | None) -> None:
    """As probabilities at the share in force."""
    told = Thresholds(0.01, 0.2, 0.9)
    version = exported(loaded, prior_invariant=prior_invariant, exported_for=0.1)
    line = replace(version, line_rate=rate, line_thresholds=told)
    assert line.thresholds == told
    for level in LEVELS:
        verdict = line.verdict(evidence(level))
        assert verdict.probability == replace(version, line_rate=rate).verdict(evidence(level)).probability
        assert (verdict.label, verdict.decision) == (
            told.label_of(verdict.probability),
            told.decision_of(verdict.probability),
        )


@pytest.mark.parametrize("told", [{}, {"defect_rate": 0.02}, {"thresholds": Thresholds(0.1, 0.2, 0.3)}])
def test_loading_takes_what_is_told_of_the_line(tmp_path: Path, told: dict[str, Any]) -> None:
    detector = load_detector(publish(tmp_path), "cpu", **told)
    assert (detector.line_rate, detector.line_thresholds) == (told.get("defect_rate"), told.get("thresholds"))
