"""What is told of an image's time from the times of others, on a clock that the test turns."""

from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from app.forecast import Forecast, Times


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def forecast(clock: Clock) -> Forecast:
    return Forecast(clock)


def work_off(forecast: Forecast, clock: Clock, images: int, seconds: float, batch: int = 1, model: str = "a") -> None:
    """Images that were there all the time, one batch after the other; a batch takes `seconds` × `batch`."""
    for _ in range(images // batch):
        clock.now += seconds * batch
        for _ in range(batch):
            forecast.learn(model, Times(share=seconds, alone=seconds * batch), 2 * seconds * batch)


def test_nothing_is_known_at_first(forecast: Forecast) -> None:
    with forecast.work("a"):
        assert (forecast.ahead(), forecast.seconds("a"), forecast.image("a")) == (0, 0, 0)


def test_work_ahead_and_the_image_itself(forecast: Forecast, clock: Clock) -> None:
    work_off(forecast, clock, 100, seconds=0.1)
    with forecast.work("a"), forecast.work("a", images=3):
        assert forecast.seconds("a") == pytest.approx(0.5, rel=0.01)
    assert forecast.ahead() == 0


def test_one_is_tried_where_nothing_is_done(forecast: Forecast, clock: Clock) -> None:
    """However slow the others were: else nothing would ever be learnt again."""
    work_off(forecast, clock, 100, seconds=50)
    assert forecast.seconds("a") == 0
    with forecast.work("a"):
        assert forecast.seconds("a") == pytest.approx(100)


def test_batches(forecast: Forecast, clock: Clock) -> None:
    """Its own batch takes an image's whole batch; those ahead take their shares."""
    work_off(forecast, clock, 800, seconds=0.1, batch=8)
    with forecast.work("a", images=16):
        assert forecast.seconds("a") == pytest.approx(1.6 + 0.8)


def test_threads_that_work_side_by_side(forecast: Forecast, clock: Clock) -> None:
    """Four images at a time, each a second: one every quarter of a second."""
    for _ in range(100):
        clock.now += 0.25
        forecast.learn("a", Times(share=1, alone=1), 1)
    assert forecast.pace == pytest.approx(0.25, rel=0.01)
    with forecast.work("a", images=4):
        assert forecast.seconds("a") == pytest.approx(2, rel=0.01)


def test_models_of_different_cost(forecast: Forecast, clock: Clock) -> None:
    for _ in range(50):
        work_off(forecast, clock, 1, seconds=0.01, model="quick")
        work_off(forecast, clock, 1, seconds=1.0, model="slow")
    with forecast.work("quick", images=10), forecast.work("slow", images=2):
        assert forecast.seconds("quick") == pytest.approx(2.11, rel=0.01)
        assert forecast.seconds("slow") == pytest.approx(3.1, rel=0.01)


def test_idle_time_is_not_work(forecast: Forecast, clock: Clock) -> None:
    for _ in range(50):
        clock.now += 3600
        forecast.learn("a", Times(share=0.1, alone=0.1), 0.1)
    assert forecast.pace == pytest.approx(1)


def test_speed_is_that_of_the_last_seconds(forecast: Forecast, clock: Clock) -> None:
    work_off(forecast, clock, 1000, seconds=0.1)
    work_off(forecast, clock, 100, seconds=0.3)
    with forecast.work("a"):
        assert forecast.ahead() == pytest.approx(0.3, rel=0.01)


def test_work_given_up_is_not_ahead(forecast: Forecast, clock: Clock) -> None:
    work_off(forecast, clock, 100, seconds=0.1)
    with forecast.work("a"), ExitStack() as others:
        others.enter_context(forecast.work("a", images=9))
        assert forecast.ahead() == pytest.approx(1, rel=0.01)
        others.close()
        assert forecast.ahead() == pytest.approx(0.1, rel=0.01)
