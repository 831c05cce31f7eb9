"""Admission by itself: to the last slot, the last byte and the last millisecond, and what is given back."""

from contextlib import ExitStack

import pytest

from app.errors import DeadlineUnreachableError, QueueFullError
from app.inference.admission import Admission
from app.inference.latency_estimator import Cost, Kind, LatencyEstimator
from app.monitoring.metrics import Metrics

KIND = Kind.of(("widget", 1), 1000)


@pytest.fixture
def latency() -> LatencyEstimator:
    return LatencyEstimator(clock=lambda: 0.0)


@pytest.fixture
def drawing() -> LatencyEstimator:
    return LatencyEstimator(clock=lambda: 0.0)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def admission(latency: LatencyEstimator, drawing: LatencyEstimator, metrics: Metrics) -> Admission:
    """Two slots, twenty bytes."""
    return Admission(2, 10, latency, drawing, metrics)


def in_progress(metrics: Metrics) -> float:
    (found,) = metrics.in_progress.collect()
    return found.samples[0].value


def test_as_many_as_slots_and_no_more(admission: Admission, metrics: Metrics) -> None:
    with admission.slot(KIND, 7.0, 1.0) as first, admission.slot(KIND, 8.0, 1.0) as second:
        assert (first.kind, first.until, second.until) == (KIND, 7.0, 8.0)
        assert in_progress(metrics) == 2
        with pytest.raises(QueueFullError) as refused, admission.slot(KIND, 9.0, 1.0):
            pass
        assert refused.value.retry_after_ms == 1000  # nothing is known yet
        assert in_progress(metrics) == 2
    assert in_progress(metrics) == 0
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(admission.slot(KIND, 9.0, 1.0))
        with pytest.raises(QueueFullError):
            admission.check(KIND, 1.0)


def test_a_request_that_fails_gives_its_slot_back(admission: Admission, metrics: Metrics) -> None:
    for _ in range(5):
        with pytest.raises(ZeroDivisionError), admission.slot(KIND, 9.0, 1.0):
            raise ZeroDivisionError
    assert in_progress(metrics) == 0


def test_who_holds_a_slot_is_work_ahead_of_the_others(admission: Admission, latency: LatencyEstimator) -> None:
    latency.learn(KIND, Cost(2.0, 2.0), 2.0)
    with admission.slot(KIND, 9.0, 9.0) as admitted:
        assert latency.ahead() == 2.0
        admitted.work.end()
        assert latency.ahead() == 0.0


def test_retry_when_the_next_image_is_done(admission: Admission, latency: LatencyEstimator) -> None:
    latency.learn(KIND, Cost(2.0, 2.0), 2.0)
    with admission.slot(KIND, 9.0, 9.0), admission.slot(KIND, 9.0, 9.0):
        with pytest.raises(QueueFullError) as refused:
            admission.check(KIND, 9.0)
        assert refused.value.retry_after_ms == 2000


def test_a_deadline_that_can_just_be_met(admission: Admission, latency: LatencyEstimator) -> None:
    """Two seconds ahead and two of its own, a quarter more for what an estimate doesn't know."""
    latency.learn(KIND, Cost(2.0, 2.0), 2.0)
    admission.check(KIND, 0.001)  # nothing is being done: it is tried
    with latency.work(KIND):
        admission.check(KIND, 5.0)
        admission.check_time(KIND, 7.5, images=2)
        for images, seconds in ((1, 4.9995), (2, 7.4995)):
            with pytest.raises(DeadlineUnreachableError) as refused:
                admission.check_time(KIND, seconds, images=images)
            assert refused.value.retry_after_ms == 1  # rounded up
        with pytest.raises(DeadlineUnreachableError, match=r"the deadline 3500 ms are left.* takes 5000 ms") as refused:
            admission.check(KIND, 3.5)
        assert refused.value.retry_after_ms == 1500


def test_drawing_counts_for_who_asked_for_it(
    admission: Admission, latency: LatencyEstimator, drawing: LatencyEstimator
) -> None:
    latency.learn(KIND, Cost(2.0, 2.0), 2.0)
    drawing.learn(KIND, Cost(1.0, 1.0), 1.0)
    with latency.work(KIND), drawing.work(KIND):
        admission.check(KIND, 5.0)
        admission.check(KIND, 7.5, overlay=True)
        with pytest.raises(DeadlineUnreachableError), admission.slot(KIND, 9.0, 7.4, overlay=True):
            pass
        with admission.slot(KIND, 9.0, 5.0):
            pass


def test_a_frame_that_can_t_be_done_in_time_is_refused_once_its_tiles_are_known(
    admission: Admission, latency: LatencyEstimator
) -> None:
    """A second ahead, and one for each of its tiles, where an ordinary frame has one: a quarter more is allowed for."""
    latency.learn(KIND, Cost(1.0, 1.0), 1.0)
    with admission.slot(KIND, 9.0, 9.0), admission.slot(KIND, 9.0, 9.0) as admitted:
        admitted.weigh([1], 1, 2.5)
        admitted.weigh([3], 3, 5.0)
        with pytest.raises(DeadlineUnreachableError, match=r"the deadline 4999 ms are left.* takes 5000 ms"):
            admitted.weigh([3], 3, 4.999)
        assert latency.ahead() == 4.0  # others wait for what it holds until it is gone
    assert latency.ahead() == 0


def test_a_frame_of_more_tiles_than_an_ordinary_one_takes_as_many_slots(
    latency: LatencyEstimator, drawing: LatencyEstimator, metrics: Metrics
) -> None:
    admission = Admission(4, 10, latency, drawing, metrics)
    with admission.slot(KIND, 9.0, 9.0) as admitted:
        admitted.weigh([13], 6, 9.0)  # three
        with admission.slot(KIND, 9.0, 9.0) as other:
            with pytest.raises(QueueFullError):
                admission.check(KIND, 9.0)
            with pytest.raises(QueueFullError):
                other.weigh([7], 6, 9.0)
            other.weigh([6], 6, 9.0)
        admission.check(KIND, 9.0)
    with admission.slot(KIND, 9.0, 9.0) as admitted:
        admitted.weigh([600], 6, 9.0)  # all there are: else it could never be inspected
        with pytest.raises(QueueFullError):
            admission.check(KIND, 9.0)
    with admission.slot(KIND, 9.0, 9.0) as admitted:
        admitted.weigh([6] * 8, 6, 9.0)  # a batch holds one, as a request
        admitted.weigh([6, 12, 12], 6, 9.0)
        with admission.slot(KIND, 9.0, 9.0), pytest.raises(QueueFullError):
            admission.check(KIND, 9.0)
    assert in_progress(metrics) == 0
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(admission.slot(KIND, 9.0, 9.0))


def cut_off(admission: Admission) -> None:
    """After its last byte."""
    with admission.body() as body:
        body.grow(20)
        raise ZeroDivisionError


def test_bodies_to_the_last_byte(admission: Admission) -> None:
    with admission.body() as first, admission.body() as second:
        first.grow(12)
        second.grow(3)
        with pytest.raises(QueueFullError) as refused:
            second.grow(6)
        assert refused.value.retry_after_ms == 1000
        second.grow(5)  # what was refused has taken nothing
        with admission.body() as third, pytest.raises(QueueFullError):
            third.grow(1)
    with admission.body() as body:
        body.grow(20)
    with pytest.raises(ZeroDivisionError):
        cut_off(admission)
    with admission.body() as body:
        body.grow(20)
    with admission.body() as body, pytest.raises(QueueFullError):
        body.grow(21)  # no more came back than was taken
