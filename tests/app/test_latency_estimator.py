"""An image's time estimated from the times of others, on a clock that the test turns."""

from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from app.inference.latency_estimator import Cost, Kind, LatencyEstimator

A = Kind.of(("a", 1), 1000)
QUICK, SLOW = Kind.of(("a", 1), 100), Kind.of(("a", 1), 3_000_000)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def estimator(clock: Clock) -> LatencyEstimator:
    return LatencyEstimator(clock)


def work_off(
    estimator: LatencyEstimator, clock: Clock, images: int, seconds: float, batch: int = 1, kind: Kind = A
) -> None:
    """Images that were there all the time, one batch after the other; a batch takes `seconds` × `batch`."""
    for _ in range(images // batch):
        clock.now += seconds * batch
        for _ in range(batch):
            estimator.learn(kind, Cost(cost_seconds=seconds, service_seconds=seconds * batch), 2 * seconds * batch)


def test_nothing_is_known_at_first(estimator: LatencyEstimator) -> None:
    with estimator.work(A):
        assert (estimator.ahead(), estimator.seconds(A), estimator.image(A)) == (0, 0, 0)


def test_work_ahead_and_the_image_itself(estimator: LatencyEstimator, clock: Clock) -> None:
    work_off(estimator, clock, 100, seconds=0.1)
    with estimator.work(A), estimator.work(A, images=3):
        assert estimator.seconds(A) == pytest.approx(0.5, rel=0.01)
    assert estimator.ahead() == 0


def test_one_is_tried_where_nothing_is_done(estimator: LatencyEstimator, clock: Clock) -> None:
    """However slow the others were: else nothing would ever be learnt again."""
    work_off(estimator, clock, 100, seconds=50)
    assert estimator.seconds(A) == 0
    with estimator.work(A):
        assert estimator.seconds(A) == pytest.approx(100)


def test_batches(estimator: LatencyEstimator, clock: Clock) -> None:
    """Its own batch takes an image's whole batch; those ahead take their shares."""
    work_off(estimator, clock, 800, seconds=0.1, batch=8)
    with estimator.work(A, images=16):
        assert estimator.seconds(A) == pytest.approx(1.6 + 0.8)


def test_threads_that_work_side_by_side(estimator: LatencyEstimator, clock: Clock) -> None:
    """Four images at a time, each a second: one every quarter of a second."""
    for _ in range(100):
        clock.now += 0.25
        estimator.learn(A, Cost(cost_seconds=1, service_seconds=1), 1)
    assert estimator.pace == pytest.approx(0.25, rel=0.01)
    with estimator.work(A, images=4):
        assert estimator.seconds(A) == pytest.approx(2, rel=0.01)


def test_images_of_different_cost(estimator: LatencyEstimator, clock: Clock) -> None:
    for _ in range(50):
        work_off(estimator, clock, 1, seconds=0.01, kind=QUICK)
        work_off(estimator, clock, 1, seconds=1.0, kind=SLOW)
    with estimator.work(QUICK, images=10), estimator.work(SLOW, images=2):
        assert estimator.seconds(QUICK) == pytest.approx(2.11, rel=0.01)
        assert estimator.seconds(SLOW) == pytest.approx(3.1, rel=0.01)


def test_idle_time_is_not_work(estimator: LatencyEstimator, clock: Clock) -> None:
    for _ in range(50):
        clock.now += 3600
        estimator.learn(A, Cost(cost_seconds=0.1, service_seconds=0.1), 0.1)
    assert estimator.pace == pytest.approx(1)


def test_speed_is_that_of_the_last_seconds(estimator: LatencyEstimator, clock: Clock) -> None:
    work_off(estimator, clock, 1000, seconds=0.1)
    work_off(estimator, clock, 100, seconds=0.3)
    with estimator.work(A):
        assert estimator.ahead() == pytest.approx(0.3, rel=0.01)


def test_work_given_up_is_not_ahead(estimator: LatencyEstimator, clock: Clock) -> None:
    work_off(estimator, clock, 100, seconds=0.1)
    with estimator.work(A), ExitStack() as others:
        others.enter_context(estimator.work(A, images=9))
        assert estimator.ahead() == pytest.approx(1, rel=0.01)
        others.close()
        assert estimator.ahead() == pytest.approx(0.1, rel=0.01)


def test_an_unknown_size_is_estimated_as_the_nearest(estimator: LatencyEstimator, clock: Clock) -> None:
    work_off(estimator, clock, 50, seconds=0.01, kind=QUICK)
    work_off(estimator, clock, 50, seconds=1.0, kind=SLOW)
    with estimator.work(QUICK):
        assert estimator.seconds(Kind.of(("a", 1), 200)) == estimator.seconds(QUICK)
        assert estimator.seconds(Kind.of(("a", 1), 1_000_000)) == estimator.seconds(SLOW)
        assert estimator.seconds(Kind.of(("b", 1), 100)) == 0


def test_several_images_that_come_now(estimator: LatencyEstimator, clock: Clock) -> None:
    work_off(estimator, clock, 100, seconds=0.1)
    with estimator.work(A):
        assert estimator.seconds(A, images=8) == pytest.approx(0.1 + 0.1 + 0.7, rel=0.01)


def test_work_that_ends_early_is_not_ahead_and_ends_once(estimator: LatencyEstimator, clock: Clock) -> None:
    work_off(estimator, clock, 100, seconds=0.1)
    with estimator.work(A), estimator.work(A) as early:
        early.end()
        early.end()
        assert estimator.ahead() == pytest.approx(0.1, rel=0.01)
    assert estimator.ahead() == 0


def test_a_frame_costs_as_many_as_it_has_tiles(estimator: LatencyEstimator, clock: Clock) -> None:
    """What is learnt of frames of six tiles is known of others, whatever their kind: a tenth of a second a tile."""
    for _ in range(50):
        clock.now += 0.6
        estimator.learn(A, Cost(cost_seconds=0.6, service_seconds=0.6, tiles=6), 0.6)
    with estimator.work(A) as small, estimator.work(A) as large:
        assert estimator.ahead() == pytest.approx(1.2)  # nobody knows better yet
        small.weigh(1)
        large.weigh(40)
        assert estimator.ahead() == pytest.approx(0.1 + 4.0)
        assert estimator.seconds_of(small) == 0  # nothing is ahead of it: it is tried
        assert estimator.seconds_of(large) == pytest.approx(0.1 + 4.0)
        with estimator.work(A, images=2) as both:
            both.weigh(12)
            assert estimator.seconds_of(both) == pytest.approx(4.1 + 1.2)
            assert estimator.seconds_of(large) == pytest.approx(4.1)  # what came later is not ahead
        small.end()
        assert estimator.ahead() == pytest.approx(4.0)
    assert estimator.ahead() == 0


def test_tiles_of_what_nothing_is_known_of_cost_nothing(estimator: LatencyEstimator) -> None:
    with estimator.work(A), estimator.work(A) as work:
        work.weigh(100)
        assert (estimator.ahead(), estimator.seconds_of(work)) == (0, 0)
