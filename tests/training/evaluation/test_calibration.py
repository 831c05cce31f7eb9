import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from model.errors import DataError
from model.verdict import logit
from training.evaluation.calibration import calibration_error, fit_platt, null_calibration_error


def drawn(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores s whose true log-odds are 2s − 1."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 2, count)
    return scores, rng.random(count) < expit(2 * scores - 1)


def test_the_sigmoid_that_labels_were_drawn_from_is_found() -> None:
    scores, is_anomaly = drawn(40_000)
    calibration = fit_platt(scores, is_anomaly)
    assert calibration.slope == pytest.approx(2, abs=0.1)
    assert calibration.offset == pytest.approx(-1, abs=0.1)
    assert calibration.defect_rate == is_anomaly.mean()


def test_it_is_logistic_regression_on_smoothed_targets() -> None:
    """Each image as both classes, weighted by its target, in a regression without penalty; of the anomalies the
    faintest quarter, and no good image is beyond them."""
    scores, is_anomaly = drawn(200)
    anomalies, goods = is_anomaly.sum(), (~is_anomaly).sum()
    targets = np.where(is_anomaly, (anomalies + 1) / (anomalies + 2), 1 / (goods + 2))
    highest = np.sort(scores[is_anomaly])[int(np.ceil(anomalies / 4)) - 1]
    near = scores <= max(highest, np.quantile(scores[~is_anomaly], 0.99))
    assert 1 < (is_anomaly & ~near).sum() < anomalies
    regression = LogisticRegression(C=np.inf, tol=1e-10).fit(
        np.tile(scores[near], 2)[:, np.newaxis],
        np.repeat([1, 0], near.sum()),
        np.concatenate([targets[near], 1 - targets[near]]),
    )
    calibration = fit_platt(scores, is_anomaly)
    assert calibration.slope == pytest.approx(regression.coef_[0, 0], rel=1e-4)
    assert calibration.offset == pytest.approx(regression.intercept_[0], rel=1e-4)


def test_faint_anomalies_are_not_missed_for_the_many_that_are_plain() -> None:
    """Good images score alike, anomalies as high as they like: a sigmoid through all of them would begin too late."""
    good, faint, plain = np.linspace(-4.6, -4.1, 40), np.linspace(-3.4, -2, 10), np.linspace(0, 40, 30)
    scores = np.concatenate([good, faint, plain])
    is_anomaly = scores > -4.0
    labels = [fit_platt(scores, is_anomaly)(score) >= logit(is_anomaly.mean()) for score in scores.tolist()]
    assert np.array_equal(labels, is_anomaly)


def test_ten_anomalies_all_take_part() -> None:
    scores, is_anomaly = drawn(40, seed=3)
    assert is_anomaly.sum() > 10
    order = np.argsort(scores)
    few = np.concatenate([order[~is_anomaly[order]], order[is_anomaly[order]][:10]])
    anomalies = is_anomaly[few]
    targets = np.where(anomalies, 11 / 12, 1 / ((~anomalies).sum() + 2))
    regression = LogisticRegression(C=np.inf, tol=1e-10).fit(
        np.tile(scores[few], 2)[:, np.newaxis],
        np.repeat([1, 0], len(few)),
        np.concatenate([targets, 1 - targets]),
    )
    assert fit_platt(scores[few], anomalies).slope == pytest.approx(regression.coef_[0, 0], rel=1e-4)


def test_plain_anomalies_are_told_where_faint_ones_look_like_good_images() -> None:
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(-4, 0.3, 100), rng.normal(-4, 0.3, 12), rng.normal(8, 2, 28)])
    calibration = fit_platt(scores, np.arange(140) >= 100)
    assert calibration(8.0) > logit(0.9)
    assert calibration(-4.0) < logit(0.2)


@pytest.mark.parametrize(("scale", "offset"), [(1e-8, 0.0), (1e8, 0.0), (1.0, 1e5), (1e-3, -50.0)])
def test_the_scores_scale_does_not_matter(scale: float, offset: float) -> None:
    scores, is_anomaly = drawn(300)
    plain, moved = fit_platt(scores, is_anomaly), fit_platt(scale * scores + offset, is_anomaly)
    for score in scores[:20]:
        assert moved(scale * score + offset) == pytest.approx(plain(score), abs=1e-4)


def test_classes_that_do_not_overlap_give_platts_own_certainty() -> None:
    """The targets themselves: 11/12 for ten anomalies, 1/32 for thirty good images."""
    scores = np.concatenate([np.full(30, -3.0), np.full(10, 4.0)])
    calibration = fit_platt(scores, scores > 0)
    assert expit(calibration(4.0)) == pytest.approx(11 / 12, abs=1e-6)
    assert expit(calibration(-3.0)) == pytest.approx(1 / 32, abs=1e-6)


@pytest.mark.parametrize("scores", [np.linspace(1, -1, 400), np.full(400, 0.1)], ids=["upside down", "all equal"])
def test_an_uninformative_score_gives_the_share(scores: np.ndarray) -> None:
    is_anomaly = np.arange(400) >= 300
    calibration = fit_platt(scores, is_anomaly)
    assert 0 < calibration.slope < 1e-5
    for score in (-1.0, 0.1, 1.0):
        assert expit(calibration(score)) == pytest.approx(0.25, abs=0.005)


@pytest.mark.parametrize("is_anomaly", [np.ones(5, bool), np.zeros(5, bool), np.zeros(0, bool)])
def test_one_class_is_refused(is_anomaly: np.ndarray) -> None:
    with pytest.raises(DataError, match="both good images and defective ones"):
        fit_platt(np.arange(len(is_anomaly), dtype=float), is_anomaly)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        fit_platt(np.array([bad, 1.0]), np.array([True, False]))


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([0.9, 0.1, 0.2, 0.8])
    is_anomaly = np.array([True, False, True, True])
    # low: mean 0.15 against 1 of 2; high: 0.85 against 2 of 2
    assert calibration_error(probabilities, is_anomaly, bins=2) == pytest.approx((0.35 + 0.15) / 2)
    assert calibration_error(probabilities, is_anomaly, bins=1) == pytest.approx(0.25)
    assert calibration_error(probabilities, is_anomaly) == pytest.approx((0.1 + 0.8 + 0.2 + 0.1) / 4)


def test_the_order_of_equal_probabilities_does_not_show() -> None:
    """Good images stand first in a data set: bins in that order would each hold one class."""
    is_anomaly = np.arange(300) >= 225
    assert calibration_error(np.full(300, 0.25), is_anomaly) == pytest.approx(0, abs=1e-12)
    assert calibration_error(np.full(300, 0.5), is_anomaly) == pytest.approx(0.25)


def test_bins_hold_equally_many() -> None:
    """Ten bins of ten would be exact, and one bin blind."""
    probabilities = np.linspace(0.01, 0.99, 100)
    is_anomaly = np.arange(100) % 10 < np.arange(100) // 10
    rows = np.abs((probabilities - is_anomaly).reshape(10, 10).mean(axis=1)).mean()
    assert calibration_error(probabilities, is_anomaly, bins=10) == pytest.approx(rows)


def test_the_null_is_what_right_probabilities_have() -> None:
    rng = np.random.default_rng(3)
    probabilities = expit(rng.normal(-1, 3, 351))
    median, high = null_calibration_error(probabilities, seed=0)
    errors = np.array([calibration_error(probabilities, rng.random(351) < probabilities) for _ in range(1000)])
    assert (errors > median).mean() == pytest.approx(0.5, abs=0.06)
    assert (errors > high).mean() == pytest.approx(0.05, abs=0.025)
    assert 0 < median < high
    assert null_calibration_error(probabilities, seed=0) == (median, high)
    overconfident = calibration_error(expit(3 * np.log(probabilities / (1 - probabilities))), rng.random(351) < 0.3)
    assert overconfident > high
