"""Several files at once, rows in order; and what is said of them."""

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.score.errors import NoVerdictError, StoppedError
from app.score.progress import Progress, Total, progress_text
from app.score.row import Row
from app.score.run import rows
from app.score.summary import Summary


async def made(names: list[str], delays: dict[str, float], jobs: int) -> tuple[list[str], int]:
    """Files of the rows, and how many were worked on at once at most."""
    busy = most = 0

    async def make(file: str) -> Row:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(delays.get(file, 0.001))
        busy -= 1
        return Row(file)

    with ThreadPoolExecutor(1) as executor:
        return [row.file async for row in rows(iter(names), make, jobs, executor)], most


@pytest.mark.anyio
async def test_rows_are_in_order_whatever_takes_long() -> None:
    names = [str(number) for number in range(100)]
    found, most = await made(names, {"0": 0.2, "7": 0.1, "99": 0.1}, 4)
    assert found == names
    assert most == 4


@pytest.mark.anyio
async def test_what_stops_one_stops_all() -> None:
    begun = []

    async def make(file: str) -> Row:
        begun.append(file)
        if file == "3":
            raise StoppedError("the engine failed")
        await asyncio.sleep(0.001 if file < "3" else 60)
        return Row(file)

    found = []

    async def collect() -> None:
        with ThreadPoolExecutor(1) as executor:
            async for row in rows(map(str, range(10)), make, 3, executor):
                found.append(row.file)  # noqa: PERF401  # what was there before it stopped

    with pytest.raises(StoppedError, match="the engine failed"):
        await collect()
    assert found == ["0", "1", "2"]
    assert len(begun) < 10


@pytest.mark.anyio
async def test_no_files() -> None:
    assert await made([], {}, 4) == ([], 0)


def test_progress_with_rate_and_time_left() -> None:
    assert progress_text(0, 0, 0.0, None) == "0 files, 0.0 a second"
    assert progress_text(1000, 500, 50.0, 61_500) == "1,500 of 61,500 files, 10.0 a second, 1:40:00 left"
    assert progress_text(0, 5, 1.0, 5).endswith("0:00:00 left")


def test_progress_is_shown_on_a_terminal_only_now_and_then() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    progress = Progress(0, Total(None), stream)
    for _ in range(1000):
        progress.step()
    progress.end()
    assert stream.getvalue().count("\r") < 20


def test_summary() -> None:
    reply = {"decision": "review", "inspectable": False, "odd": [{"check": "sharpness"}, {"check": "appearance"}]}
    accepted = Row("b", {"decision": "accept", "inspectable": True, "odd": []})
    errors = [Row.of_error(name, NoVerdictError("empty-image", "")) for name in "cd"]
    summary = Summary()
    assert len([*summary.of([Row("a", reply), accepted, *errors])]) == 4
    for milliseconds in (10.0, 30.0):
        summary.time({"decode": milliseconds, "queue": 500.0, "predict": 15.0, "render": 1.0})
    assert summary.text(2.0, 4).splitlines() == [
        "4 files: 1 accept, 1 review, 0 reject, 2 without a verdict",
        "not inspectable: 1 (1 sharpness, 1 appearance)",
        "without a verdict: 2 empty-image",
        "2.0 files a second; milliseconds an image: decode 20.0, predict 15.0, render 1.0; decode is the slowest step",
    ]
