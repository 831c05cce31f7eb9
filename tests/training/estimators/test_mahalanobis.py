import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis

from training.estimators.mahalanobis import MahalanobisDistance

Array = np.ndarray


def drawn(count: int = 500, width: int = 6) -> Array:
    rng = np.random.default_rng(0)
    return (rng.normal(size=(count, width)) @ rng.normal(size=(width, width)) + 3).astype(np.float32)


def test_it_is_mahalanobis_with_a_shrunk_covariance() -> None:
    good = drawn()
    patches = np.concatenate([good[:5], good[:5] * 4 - 1])
    covariance = np.cov(good.T.astype(np.float64), bias=True)
    shrunk = 0.99 * covariance + 0.01 * np.eye(6) * np.trace(covariance) / 6
    inverse = np.linalg.inv(shrunk)
    expected = [mahalanobis(patch, good.mean(axis=0), inverse) ** 2 for patch in patches]
    assert MahalanobisDistance.fit(good)(patches) == pytest.approx(expected, rel=1e-3)


def test_good_patches_lie_about_as_far_as_they_have_features() -> None:
    good = drawn(5000)
    assert MahalanobisDistance.fit(good)(good).mean() == pytest.approx(6, rel=0.1)


def test_units_of_the_features_do_not_show() -> None:
    good = drawn()
    far = good[:20] + 5
    assert MahalanobisDistance.fit(good * 100)(far * 100) == pytest.approx(MahalanobisDistance.fit(good)(far), rel=1e-2)


def test_a_feature_that_never_varies_does_no_harm() -> None:
    good = np.concatenate([drawn(), np.zeros((500, 1), np.float32)], axis=1)
    distances = MahalanobisDistance.fit(good)(good + np.array([0, 0, 0, 0, 0, 0, 1], np.float32))
    assert np.isfinite(distances).all()
    assert (distances > MahalanobisDistance.fit(good)(good)).all()


def test_fewer_patches_than_features_are_enough() -> None:
    few = np.random.default_rng(1).normal(size=(10, 40)).astype(np.float32)
    assert np.isfinite(MahalanobisDistance.fit(few)(few)).all()
