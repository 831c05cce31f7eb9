import numpy as np
import pytest

from model.figures import Estimate
from training.evaluation.intervals import balanced_accuracy, bootstrap, chunks, rate, upper_bound, wider


def test_wilsons_interval() -> None:
    """Newcombe 1998, table I: 81 of 263."""
    estimate = rate(81, 263)
    assert (estimate.low, estimate.high) == (pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4))


def test_nothing_is_known_of_no_trials() -> None:
    assert rate(0, 0) == Estimate(0.0, 0.0, 1.0)
    assert upper_bound(0, 0) == 1.0


def test_the_bound_is_where_so_few_would_be_seen_once_in_twenty() -> None:
    """The definition of Clopper and Pearson, by the binomial sum itself."""
    bound = upper_bound(2, 40)
    tail = (1 - bound) ** 40 + 40 * bound * (1 - bound) ** 39 + 780 * bound**2 * (1 - bound) ** 38
    assert tail == pytest.approx(0.05)
    assert upper_bound(0, 59) == pytest.approx(1 - 0.05 ** (1 / 59))
    assert upper_bound(7, 7) == 1.0


def test_interval_of_balanced_accuracy_covers_the_truth_about_as_often_as_claimed() -> None:
    rng = np.random.default_rng(5)
    covered = []
    for _ in range(400):
        bad, good = rng.binomial(60, 0.85), rng.binomial(150, 0.95)
        estimate = balanced_accuracy(rate(int(bad), 60), rate(int(good), 150))
        assert estimate.value == pytest.approx((bad / 60 + good / 150) / 2)
        covered.append(estimate.low <= 0.90 <= estimate.high)
    assert 0.92 <= np.mean(covered) <= 0.98


def test_no_error_in_few_images_is_no_certainty() -> None:
    estimate = balanced_accuracy(rate(3, 3), rate(7, 7))
    assert (estimate.value, estimate.high) == (1.0, 1.0)
    assert estimate.low < 0.75


def test_bootstrap_of_a_mean_is_as_wide_as_its_standard_error() -> None:
    rng = np.random.default_rng(0)
    values, is_anomaly = rng.normal(5, 2, 900), np.arange(900) < 300
    (estimate,) = bootstrap(lambda weights: (weights @ values[:, np.newaxis]) / 900, is_anomaly)
    error = 1.96 * values.std() / 30
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.high - estimate.value == pytest.approx(error, rel=0.12)
    assert estimate.value - estimate.low == pytest.approx(error, rel=0.12)


def test_bootstrap_draws_within_each_class_and_with_a_seed() -> None:
    is_anomaly = np.array([True] * 3 + [False] * 40)
    seen = []

    def statistics(weights: np.ndarray) -> np.ndarray:
        seen.append(weights)
        return weights[:, :1]

    first, second, other = (bootstrap(statistics, is_anomaly, seed, draws=50) for seed in (1, 1, 2))
    for weights in seen:
        assert (weights[:, :3].sum(axis=1) == 3).all()
        assert (weights[:, 3:].sum(axis=1) == 40).all()
    assert first == second
    assert not np.array_equal(seen[1], seen[-1]), other
    assert max(weights.max() for weights in seen) > 1


def test_an_interval_holds_its_value() -> None:
    """A draw with replacement leaves out about a third of the images, always."""
    (estimate,) = bootstrap(lambda weights: (weights > 0).mean(axis=1, keepdims=True), np.arange(90) < 30)
    assert (estimate.value, estimate.high) == (1.0, 1.0)
    assert 0.5 < estimate.low < 0.63


def test_many_draws_of_many_images_are_made_in_parts() -> None:
    assert list(chunks(1000, 2600)) == [769, 231]
    assert sum(chunks(1000, 10**7)) == 1000
    assert max(chunks(1000, 10**7)) == 1


def test_wider() -> None:
    assert wider(Estimate(0.5, 0.4, 0.7), Estimate(0.5, 0.45, 0.8)) == Estimate(0.5, 0.4, 0.8)
