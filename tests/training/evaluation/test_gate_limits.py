"""The gate's limits: how often they stop ordinary images, and what so few images can vouch for."""

import numpy as np
import pytest
from numpy.typing import NDArray

from model.appearance import Appearance
from model.gate import CHECKS, CheckName, Gate, Limits
from training.evaluation.gate_limits import HeldOutMeasures, fit_appearance, fit_gate, with_held_out
from training.features.measuring import APPEARANCE, Measures

LOW_RANK = np.random.default_rng(1).normal(0, 1, (3, 64)).astype(np.float32)


def held_out(count: int, seed: int = 0, folds: int = 5) -> HeldOutMeasures:
    rng = np.random.default_rng(seed)
    values = np.stack(
        [
            np.full(count, 512.0), np.ones(count), rng.normal(12, 1, count), rng.normal(150, 8, count),
            rng.normal(60, 3, count), rng.exponential(0.001, count), rng.normal(1.3, 0.1, count),
            rng.gamma(9, 0.1, count),
        ],
        axis=1,
    )  # fmt: skip
    return HeldOutMeasures(values, np.arange(count) % 3 == 0, np.arange(count) % folds)


def is_odd(values: Measures, limits: dict[CheckName, Limits]) -> NDArray[np.bool_]:
    low, high = np.array([limits[name] for name in CHECKS]).T
    return np.asarray(((values < low) | (values > high)).any(axis=1))


def fit_gate_of(measures: HeldOutMeasures, odd_rate: float, spread: float = 0.1) -> Gate:
    mean = np.zeros(64, np.float32)
    appearance = Appearance(mean, np.zeros((0, 64), np.float32), mean[:0], spread**2 / 64, mean[:1])
    return fit_gate(measures, appearance, odd_rate)


@pytest.mark.parametrize("odd_rate", [0.005, 0.05])
def test_new_images_of_the_same_kind_are_seldom_odd(odd_rate: float) -> None:
    shares = []
    for seed in range(8):
        gate = fit_gate_of(held_out(400, seed), odd_rate)
        shares.append(is_odd(held_out(2000, seed + 100).values, gate.limits).mean())
    assert np.mean(shares) <= odd_rate


def test_the_limits_are_the_extremes_with_slack() -> None:
    measures = held_out(400)
    gate = fit_gate_of(measures, 0.005)
    assert gate.limits["size"] == (pytest.approx(512 / 1.25), 640.0)
    assert gate.limits["clipped"][0] == gate.limits["appearance"][0] == 0.0
    low, high = gate.limits["sharpness"]
    values = measures.values[:, CHECKS.index("sharpness")]
    assert 0.8 * values.min() < low < values.min()
    assert values.max() < high < 1.25 * values.max()


def test_few_images_vouch_for_less_and_the_summary_tells() -> None:
    gate = fit_gate_of(held_out(60), 0.005)
    assert gate.odd_bound == pytest.approx(1 / 21)
    assert "So few images vouch for 4.8 % only: 0.5 % takes 199 of each." in gate.summary
    assert "of 40 good images and 0 of 20 defective ones" in gate.summary
    enough = fit_gate_of(held_out(600), 0.005)
    assert enough.odd_bound <= 0.005
    assert "only" not in enough.summary


@pytest.mark.parametrize("count", [20, 60])
def test_few_images_call_few_new_ones_odd(count: int) -> None:
    """The extremes of so few are no limits."""
    shares = [
        is_odd(held_out(2000, seed + 100).values, fit_gate_of(held_out(count, seed), 0.005).limits).mean()
        for seed in range(8)
    ]
    assert np.mean(shares) <= 0.01


def test_what_one_check_finds_moves_no_other_checks_limits() -> None:
    measures = held_out(100)
    sound = fit_gate_of(measures, 0.005).limits
    for row, value in ((3, 0.3), (4, 0.6), (6, 0.9)):  # a defective image is far off, and a good one: only they may be
        measures.values[row, CHECKS.index("clipped")] = value
    limits = fit_gate_of(measures, 0.005).limits
    assert limits["clipped"][1] > 0.3
    assert {name: limits[name] for name in CHECKS if name != "clipped"} == {
        name: sound[name] for name in CHECKS if name != "clipped"
    }


def test_defective_images_are_as_seldom_odd_as_good_ones() -> None:
    """One defect in 100 is dark: 4 of 1,200 images, which may all lie outside where defects aren't counted apart."""
    measures = held_out(1200)
    dark = np.flatnonzero(measures.is_anomaly)[::100]
    measures.values[dark, CHECKS.index("brightness")] = np.linspace(10, 13, len(dark))
    gate = fit_gate_of(measures, 0.005)
    assert (measures.values[dark, CHECKS.index("brightness")] < gate.limits["brightness"][0]).sum() <= 1


def test_a_large_defect_is_not_odd_where_none_was_seen() -> None:
    """It moves features by a quarter: more deviations, the less images vary."""
    measures = held_out(400)
    measures.is_anomaly[:] = False
    farthest = measures.values[:, APPEARANCE].max()
    uniform, varied = (fit_gate_of(measures, 0.005, spread).limits["appearance"][1] for spread in (0.05, 0.5))
    assert uniform == pytest.approx(np.hypot(1.2 * farthest + 0.1, 5), abs=1e-3)
    assert varied == pytest.approx(np.hypot(1.2 * farthest + 0.1, 0.5), abs=1e-3)


def test_a_single_wrong_image_does_not_blind_the_gate() -> None:
    measures = held_out(100)
    sound = fit_gate_of(measures, 0.005).limits
    measures.values[7, CHECKS.index("brightness")] = 0.0
    limits = fit_gate_of(measures, 0.005).limits
    assert limits["sharpness"][0] > 0.9 * sound["sharpness"][0]
    assert limits["appearance"][1] < 1.1 * sound["appearance"][1]


def test_good_images_alone() -> None:
    measures = held_out(50)
    measures.is_anomaly[:] = False
    gate = fit_gate_of(measures, 0.005)
    assert gate.defects_odd is None
    assert gate.good_odd is not None
    assert "defective" not in gate.summary


@pytest.mark.parametrize("count", [1, 2, 3])
def test_as_few_images_as_there_can_be(count: int) -> None:
    gate = fit_gate_of(held_out(count, folds=2), 0.005)
    assert not is_odd(held_out(count, folds=2).values[1:], gate.limits).any()
    assert gate.images == count


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_other_features_are_farther_away(count: int) -> None:
    rng = np.random.default_rng(0)

    def draw(number: int) -> NDArray[np.float32]:
        return (5 + 0.5 * rng.normal(0, 1, (number, 3)) @ LOW_RANK + rng.normal(0, 0.1, (number, 64))).astype(
            np.float32
        )

    appearance = fit_appearance(draw(count))
    assert np.isfinite(appearance.distance(draw(20))).all()
    other = appearance.distance(rng.uniform(0, 10, (20, 64)).astype(np.float32))
    if count == 40:
        assert other.min() > appearance.distance(draw(20)).max()


def test_equal_images_are_alike() -> None:
    appearance = fit_appearance(np.ones((10, 64), np.float32))
    assert appearance.distance(np.ones(64, np.float32)) == pytest.approx(0, abs=1e-3)
    noisy = 1 + np.random.default_rng(0).normal(0, 0.01, 64).astype(np.float32)
    assert appearance.distance(noisy) == pytest.approx(1, abs=0.3)


def test_components_are_those_of_the_covariance() -> None:
    rng = np.random.default_rng(0)
    features = (5 + rng.normal(0, 1, (80, 3)) @ LOW_RANK + rng.normal(0, 0.1, (80, 64))).astype(np.float32)
    appearance = fit_appearance(features)
    assert appearance.components @ appearance.components.T == pytest.approx(np.eye(20), abs=1e-4)
    rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    expected = np.linalg.eigvalsh(np.cov(rows.T.astype(np.float64)))[::-1][:3]
    assert appearance.variances[:3] == pytest.approx(expected, rel=1e-3)


def test_typicality_is_ranked_among_the_held_out() -> None:
    measures = held_out(40)
    appearance = with_held_out(fit_appearance(np.random.default_rng(0).random((40, 64), np.float32)), measures)
    assert appearance.distances.tolist() == sorted(measures.values[:, APPEARANCE].astype(np.float32).tolist())
