"""The sums, and the run without a reject."""

import math

import numpy as np
import pytest

from app.drift.cusum import Cusum, PartReference, RunWithoutReject, longest_run


def part(number: int) -> PartReference:
    return PartReference(float(number), f"request-{number}", f"part-{number}")


def test_a_sum_is_never_below_0_and_knows_since_when() -> None:
    cusum = Cusum()
    for number, step in enumerate([-5, 3, -3, 2, 4, -1, 6]):
        cusum.add(step, 10.0 * number, part(number))
    assert (cusum.value, cusum.parts, cusum.total) == (11, 4, 10.0 * (3 + 4 + 5 + 6))
    assert cusum.since == part(3)
    cusum.restart()
    assert cusum == Cusum()


def test_a_part_is_named_by_what_there_is() -> None:
    at = 1_764_115_200.0
    assert str(PartReference(at, "r", "p", "i")) == "part p (2025-11-26T00:00:00+00:00)"
    assert str(PartReference(at, "r", None, "i")) == "inference i (2025-11-26T00:00:00+00:00)"
    assert str(PartReference(at, "r")) == "request r (2025-11-26T00:00:00+00:00)"


def test_a_reject_ends_the_run() -> None:
    run = RunWithoutReject()
    for number, rejected in enumerate([False, True, False, False]):
        run.add(part(number), rejected=rejected)
    assert (run.parts, run.since) == (2, part(2))


def test_the_longest_run_is_as_rare_as_set() -> None:
    """By simulation: runs of that length come once in `run_length` parts."""
    limit = longest_run(0.1, 2000)
    assert limit == math.ceil(math.log1p(200) / -math.log(0.9))
    rejected = np.random.default_rng(1).random(2_000_000) < 0.1
    alarms = run = 0
    for each in rejected.tolist():
        run = 0 if each else run + 1
        if run == limit:
            alarms, run = alarms + 1, 0
    assert len(rejected) / alarms == pytest.approx(2000, rel=0.15)


def test_where_nothing_is_ever_rejected_nothing_is_missing() -> None:
    assert longest_run(0.0, 1000) is None
    assert longest_run(1.0, 1000) is None
