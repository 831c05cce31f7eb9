import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from training.estimators.logistic import FeatureScale, LinearModel, fit_logistic

Array = np.ndarray


def drawn(count: int = 300, width: int = 8, defective: int = 40, seed: int = 0) -> tuple[Array, Array]:
    """Features, and targets of which some are between good and defective."""
    rng = np.random.default_rng(seed)
    targets = np.zeros(count, np.float32)
    targets[:defective] = rng.choice(np.array([0.25, 0.6, 1.0], np.float32), defective)
    features = rng.normal(size=(count, width)) + 0.8 * targets[:, None] * rng.normal(size=width)
    return features.astype(np.float32), targets


def loss(model: LinearModel, features: Array, targets: Array, penalty: float) -> float:
    """The definition: mean cross-entropy of either class's patches, half and half, plus the penalty."""
    x = model(features).astype(np.float64)
    entropy = np.logaddexp(0, x) - targets * x
    defective = targets > 0
    halves = entropy[defective].mean() / 2 + entropy[~defective].mean() / 2
    return float(halves + penalty * np.square(model.weights.astype(np.float64)).sum())


@pytest.mark.parametrize("penalty", [0.3, 0.03, 0.003])
def test_it_is_scikit_learns_weighted_regression(penalty: float) -> None:
    """Theirs has no soft targets: each place stands there twice, as defective and as good. C = 1 / (2·penalty)."""
    features, targets = drawn()
    defective = targets > 0
    importance = np.where(defective, 0.5 / defective.sum(), 0.5 / (~defective).sum())
    theirs = LogisticRegression(C=1 / (2 * penalty), tol=1e-10, max_iter=10_000).fit(
        np.concatenate([features, features]),
        np.repeat([1, 0], len(targets)),
        sample_weight=np.concatenate([importance * targets, importance * (1 - targets)]),
    )
    ours = fit_logistic(features, targets, penalty)
    assert ours.weights == pytest.approx(theirs.coef_[0], abs=2e-3)
    assert ours.bias == pytest.approx(theirs.intercept_[0], abs=2e-3)
    assert np.abs(ours.weights).max() > 0.03


def test_nothing_near_it_has_a_lower_loss() -> None:
    features, targets = drawn()
    model = fit_logistic(features, targets, 0.01)
    least = loss(model, features, targets, 0.01)
    rng = np.random.default_rng(1)
    for _ in range(50):
        step = rng.normal(size=9).astype(np.float32) * 0.05
        assert loss(LinearModel(model.weights + step[:8], model.bias + float(step[8])), features, targets, 0.01) > least


def test_where_it_starts_does_not_show() -> None:
    features, targets = drawn()
    cold = fit_logistic(features, targets, 0.01)
    rng = np.random.default_rng(2)
    for _ in range(3):
        start = LinearModel(rng.normal(size=8).astype(np.float32), float(rng.normal()))
        before = start.weights.copy()
        warm = fit_logistic(features, targets, 0.01, start=start)
        assert warm.weights == pytest.approx(cold.weights, abs=2e-3)
        assert warm.bias == pytest.approx(cold.bias, abs=2e-3)
        assert np.array_equal(start.weights, before)


def test_how_many_good_patches_there_are_moves_nothing() -> None:
    features, targets = drawn()
    once = fit_logistic(features, targets, 0.01)
    good = targets == 0
    again = fit_logistic(
        np.concatenate([features, features[good], features[good]]), np.r_[targets, targets[good], targets[good]], 0.01
    )
    assert again.weights == pytest.approx(once.weights, abs=2e-3)
    assert again.bias == pytest.approx(once.bias, abs=2e-3)


def test_a_larger_penalty_gives_smaller_weights() -> None:
    features, targets = drawn()
    norms = [float(np.square(fit_logistic(features, targets, penalty).weights).sum()) for penalty in (1e-3, 1e-2, 1e-1)]
    assert norms == sorted(norms, reverse=True)
    assert norms[0] > 3 * norms[2]


def test_patches_that_can_be_told_apart_stay_finite() -> None:
    features = np.concatenate([np.full((50, 3), -100), np.full((5, 3), 100)]).astype(np.float32)
    model = fit_logistic(features, (np.arange(55) >= 50).astype(np.float32), 0.003)
    assert np.isfinite(model.weights).all()
    assert model(features[:1])[0] < -2
    assert model(features[-1:])[0] > 2


def test_the_same_line_for_features_as_they_were() -> None:
    rng = np.random.default_rng(3)
    raw = rng.normal(5, 3, (20, 6)).astype(np.float32)
    mean, deviation = raw.mean(axis=0), raw.std(axis=0)
    model = LinearModel(rng.normal(size=6).astype(np.float32), 0.7)
    assert model.unstandardised(FeatureScale(mean, deviation))(raw) == pytest.approx(
        model((raw - mean) / deviation), abs=1e-4
    )


def test_a_line_reads_any_number_of_patches_at_once() -> None:
    model = LinearModel(np.array([1.0, -2.0], np.float32), 0.5)
    features = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    assert model(features).shape == (2, 3)
    assert model(features)[1, 2] == pytest.approx(10 - 22 + 0.5)
