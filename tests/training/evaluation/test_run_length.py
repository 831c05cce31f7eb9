"""Average run lengths: against closed forms, published ones, and simulation."""

from statistics import NormalDist

import numpy as np
import pytest

from training.evaluation.run_length import average_run_length, limit_for


@pytest.mark.parametrize("limit", [1, 2, 3, 10, 50])
def test_a_fair_coin(limit: int) -> None:
    """One step up or down, and 0 stays 0: limit · (limit + 1) values on average."""
    assert average_run_length({1: 0.5, -1: 0.5}, limit) == pytest.approx(limit * (limit + 1))


def test_steps_up_alone() -> None:
    assert average_run_length({3: 1.0}, 10) == pytest.approx(4)
    assert average_run_length({3: 0.25, 0: 0.75}, 10) == pytest.approx(16)


@pytest.mark.parametrize(("limit", "published"), [(4, 168), (5, 465)])
def test_normal_values(limit: int, published: float) -> None:
    """Two-sided, allowance 1/2 (Montgomery, Introduction to Statistical Quality Control, on the tabular cusum): half of
    one side's. His sums have no steps: they lie between those that end on a step and one later."""
    each, share = 50, NormalDist(sigma=50).cdf
    steps = {step - each // 2: share(step + 0.5) - share(step - 0.5) for step in range(-6 * each, 6 * each + 1)}
    around = [average_run_length(steps, limit * each + more) for more in (0, 1)]
    assert np.mean(around) / 2 == pytest.approx(published, rel=0.005)


def test_it_is_what_a_simulation_gives() -> None:
    rng = np.random.default_rng(7)
    steps = {-9: 0.35, -4: 0.3, 1: 0.2, 8: 0.1, 15: 0.05}
    expected = average_run_length(steps, 40)
    drawn = rng.choice(list(steps), size=(4000, 2000), p=list(steps.values()))
    sums, lengths = np.zeros(4000, int), np.full(4000, 2000)
    for number in range(2000):
        sums = np.maximum(sums + drawn[:, number], 0)
        lengths = np.where((sums >= 40) & (lengths == 2000), number + 1, lengths)
    assert expected < 400  # so that none of the 4,000 is cut off to speak of
    assert lengths.mean() == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize("run_length", [1.5, 100, 100_000])
def test_the_least_limit_is_found(run_length: float) -> None:
    steps = {-9: 0.35, -4: 0.3, 1: 0.2, 8: 0.1, 15: 0.05}
    limit = limit_for(steps, run_length)
    assert limit is not None
    assert average_run_length(steps, limit) >= run_length
    assert limit == 1 or average_run_length(steps, limit - 1) < run_length


def test_a_sum_that_can_not_grow_has_no_limit() -> None:
    assert limit_for({-1: 0.5, 0: 0.5}, 100) is None
