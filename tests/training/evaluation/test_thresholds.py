import msgspec
import numpy as np
import pytest
from scipy.special import expit

from model.errors import DataError, ErrorBoundError
from model.verdict import Thresholds, logit, prior_shift, sigmoid
from training.evaluation.error_bounds import ErrorRates, error_rates
from training.evaluation.thresholds import (
    BestBalancedAccuracy,
    ErrorRateLimits,
    Fixed,
    LeastCost,
    Rule,
    bayes_threshold,
    choose_thresholds,
)

Array = np.ndarray
RULES: list[Rule] = [
    LeastCost(),
    LeastCost(3.0),
    BestBalancedAccuracy(),
    ErrorRateLimits(0.1),
    ErrorRateLimits(0.1, 0.05),
    Fixed(0.3),
]


def drawn(count: int = 600, share: float = 0.3, seed: int = 0) -> tuple[Array, Array]:
    """Calibrated log-odds: of two normal distributions of deviation 1 that lie 2.5 apart."""
    rng = np.random.default_rng(seed)
    is_anomaly = rng.random(count) < share
    scores = rng.normal(0, 1, count) + 2.5 * is_anomaly
    return 2.5 * scores - 2.5**2 / 2 + logit(share), is_anomaly


def balanced(cut: float, log_odds: Array, is_anomaly: Array) -> float:
    return float((log_odds[is_anomaly] >= cut).mean() + (log_odds[~is_anomaly] < cut).mean()) / 2


def rates_of(thresholds: Thresholds, log_odds: Array, is_anomaly: Array) -> ErrorRates:
    decisions = [thresholds.decision_of(probability) for probability in expit(log_odds).tolist()]
    return error_rates(decisions, is_anomaly.tolist())


# Least cost


def test_least_cost_is_the_least_at_the_lines_share_of_defects() -> None:
    log_odds, is_anomaly = drawn(200_000)
    shift = prior_shift(0.3, 0.02)
    weights = np.where(is_anomaly, 0.02 / 0.3, 0.98 / 0.7)  # the same images, as the line has them

    def cost(threshold: float) -> float:
        rejected = expit(log_odds + shift) >= threshold
        return float(np.where(is_anomaly, 10 * ~rejected, rejected) @ weights)

    chosen = choose_thresholds(LeastCost(10), log_odds, is_anomaly, shift)
    assert chosen == Thresholds(1 / 11, 1 / 11, 1 / 11)
    best = min(cost(t) for t in np.linspace(0.01, 0.6, 60))
    assert cost(chosen.label) == pytest.approx(best, rel=0.01)
    assert cost(0.3) > 1.1 * best


# Best balanced accuracy


@pytest.mark.parametrize("share", [0.1, 0.5, 0.7])
def test_the_cut_finds_the_best_balanced_accuracy(share: float) -> None:
    log_odds, is_anomaly = drawn(40_000, share)
    best = max(balanced(cut, log_odds, is_anomaly) for cut in np.linspace(-6, 6, 121))
    assert balanced(bayes_threshold(is_anomaly), log_odds, is_anomaly) == pytest.approx(best, abs=0.002)


@pytest.mark.parametrize("is_anomaly", [np.ones(3, bool), np.zeros(3, bool)])
@pytest.mark.parametrize("rule", [BestBalancedAccuracy(), ErrorRateLimits(max_miss=0.9, max_false_reject=0.9)])
def test_one_class_is_refused(rule: Rule, is_anomaly: Array) -> None:
    with pytest.raises((DataError, ErrorBoundError), match=r"only one class|you have 0"):
        choose_thresholds(rule, np.arange(3.0), is_anomaly, 0.0)


# Error-rate limits


def test_highest_miss_rate_rejects_no_more_good_parts_than_it_must() -> None:
    """Of 100 defects two may be missed at 6.2 % (upper bound of 2 of 100: 6.16 %)."""
    defects, goods = np.arange(100.0) * 10, np.array([-5.0, 4.0, 16.0, 21.0, 500.0])
    log_odds, is_anomaly = (np.concatenate([defects, goods]) - 20) / 10, np.arange(105) < 100
    chosen = choose_thresholds(ErrorRateLimits(max_miss=0.062), log_odds, is_anomaly, 0.0)
    assert chosen.review == chosen.label == chosen.reject
    assert logit(chosen.label) == pytest.approx(-0.2)  # half-way between the good one at 16 and the defect at 20
    stricter = choose_thresholds(ErrorRateLimits(max_miss=0.0615), log_odds, is_anomaly, 0.0)
    assert logit(stricter.label) == pytest.approx(-1.3)  # 4 and 10
    assert rates_of(stricter, log_odds, is_anomaly).defects.accept == 1


def test_highest_false_reject_rate_misses_no_more_defects_than_it_must() -> None:
    goods, defects = np.arange(100.0) * 10, np.array([960.0, 974.0, 983.0, 5000.0])
    log_odds, is_anomaly = (np.concatenate([goods, defects]) - 970) / 10, np.arange(104) >= 100
    chosen = choose_thresholds(ErrorRateLimits(max_false_reject=0.062), log_odds, is_anomaly, 0.0)
    assert chosen.review == chosen.label == chosen.reject
    assert logit(chosen.label) == pytest.approx(0.2)  # half-way between the good one at 970 and the defect at 974
    result = rates_of(chosen, log_odds, is_anomaly)
    assert (result.goods.reject, result.defects.accept) == (2, 1)


def test_two_limits_that_no_threshold_keeps_leave_a_review_band() -> None:
    log_odds, is_anomaly = drawn()
    chosen = choose_thresholds(ErrorRateLimits(0.03, 0.02), log_odds, is_anomaly, 0.0)
    assert chosen.review < chosen.label < chosen.reject
    result = rates_of(chosen, log_odds, is_anomaly)
    assert 0.01 < result.miss_bound <= 0.03
    assert 0.005 < result.false_reject_bound <= 0.02
    assert min(result.defects.review, result.goods.review) > 0
    assert chosen.label == pytest.approx(is_anomaly.mean())


def test_two_limits_that_one_threshold_keeps_need_no_review() -> None:
    log_odds, is_anomaly = drawn()
    chosen = choose_thresholds(ErrorRateLimits(0.3, 0.3), log_odds, is_anomaly, 0.0)
    assert chosen.review == chosen.label == chosen.reject
    result = rates_of(chosen, log_odds, is_anomaly)
    assert max(result.miss_bound, result.false_reject_bound) <= 0.3


def test_the_label_stays_within_the_band() -> None:
    """Uncalibrated log-odds, whose best cut lies far from the data's share."""
    log_odds, is_anomaly = drawn()
    up = choose_thresholds(ErrorRateLimits(0.03, 0.02), log_odds + 9, is_anomaly, 0.0)
    assert up.review == up.label < up.reject
    down = choose_thresholds(ErrorRateLimits(0.03, 0.02), log_odds - 9, is_anomaly, 0.0)
    assert down.review < down.label == down.reject


@pytest.mark.parametrize("limits", [ErrorRateLimits(max_miss=0.05), ErrorRateLimits(max_false_reject=0.05)])
def test_a_limit_is_kept_on_other_images(limits: ErrorRateLimits) -> None:
    """In 95 % of lots or more, though the cut comes from the images that the bound is counted on."""
    kept = []
    for seed in range(300):
        log_odds, is_anomaly = drawn(300, 0.4, seed)
        chosen = choose_thresholds(limits, log_odds, is_anomaly, 0.0)
        others, truth = drawn(20_000, 0.4, 1000 + seed % 10)
        missed, rejected = others[truth] < logit(chosen.label), others[~truth] >= logit(chosen.label)
        kept.append(missed.mean() <= 0.05 if limits.max_miss else rejected.mean() <= 0.05)
    assert 0.92 <= np.mean(kept) < 1


@pytest.mark.parametrize(
    "limits", [ErrorRateLimits(max_miss=0.001), ErrorRateLimits(max_false_reject=0.001), ErrorRateLimits(0.2, 0.001)]
)
def test_what_the_data_can_not_carry_is_refused(limits: ErrorRateLimits) -> None:
    with pytest.raises(ErrorBoundError, match="needs at least 2,995"):
        choose_thresholds(limits, *drawn(), 0.0)


def test_a_threshold_beyond_all_images_still_decides_further_ones() -> None:
    """All good images lie above the defects: none may be rejected, but one higher still would be."""
    log_odds, is_anomaly = np.arange(60.0) / 10, np.arange(60) < 1
    chosen = choose_thresholds(ErrorRateLimits(max_false_reject=0.05), log_odds, is_anomaly, 0.0)
    assert sigmoid(5.9) < chosen.reject < sigmoid(6.0)
    equal = choose_thresholds(ErrorRateLimits(max_false_reject=0.05), np.zeros(60), is_anomaly, 0.0)
    assert sigmoid(0) < equal.reject < 1


# All rules


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_rules_move_their_thresholds_or_their_verdicts(rule: Rule) -> None:
    log_odds, is_anomaly = drawn()
    shift = prior_shift(0.3, 0.01)
    here, there = (
        choose_thresholds(rule, log_odds, is_anomaly, 0.0),
        choose_thresholds(rule, log_odds, is_anomaly, shift),
    )
    verdicts = [(expit(log_odds) >= here.label), (expit(log_odds + shift) >= there.label)]
    if rule.prior_invariant:
        moved = here.moved(shift)
        assert (there.review, there.label, there.reject) == pytest.approx((moved.review, moved.label, moved.reject))
        assert np.array_equal(verdicts[0], verdicts[1])
    else:
        assert there == here
        assert verdicts[1].sum() < verdicts[0].sum()


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_rules_pass_through_json(rule: Rule) -> None:
    assert msgspec.json.decode(msgspec.json.encode(rule), type=Rule) == rule


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (LeastCost(), "Least expected cost, where a missed defect costs as much as 10 false rejects."),
        (ErrorRateLimits(0.01), "With 95 % confidence at most 1 % of defects are missed."),
        (
            ErrorRateLimits(0.01, 0.005),
            "With 95 % confidence at most 1 % of defects are missed and at most 0.5 % of good parts are rejected.",
        ),
        (Fixed(), "A fixed threshold of 0.5."),
    ],
)
def test_rules_say_what_they_do(rule: Rule, text: str) -> None:
    assert str(rule) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"name": "error-rate-limits"}', "need a highest miss rate"),
        ('{"name": "error-rate-limits", "max_miss": 0}', "between 0 and 1, not 0"),
        ('{"name": "error-rate-limits", "max_miss": 0.1, "max_false_reject": 1}', "between 0 and 1, not 1"),
        ('{"name": "least-cost", "miss_cost": 0}', "above 0 false rejects"),
        ('{"name": "fixed", "threshold": 1.5}', "<= 1.0"),
        ('{"name": "fixed", "cut": 0.5}', "unknown field `cut`"),
        ('{"name": "best"}', "Invalid value 'best'"),
    ],
)
def test_rules_that_make_no_sense_are_refused(text: str, why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=why):
        msgspec.json.decode(text, type=Rule)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_fixed_threshold_is_a_probability(threshold: float) -> None:
    with pytest.raises(ValueError, match="0 to 1"):
        Fixed(threshold)
