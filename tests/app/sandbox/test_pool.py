"""Codec processes that crash, hang and eat: their image alone fails, and another process takes their place."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass

import numpy as np
import pytest

from app.errors import CodecsUnavailableError, DeadlineError, QueueFullError
from app.monitoring.metrics import Metrics
from app.sandbox import pool as pool_module
from app.sandbox.pool import CodecPool
from app.sandbox.process import CodecProcess, Template
from model.errors import ImageTooCostlyError, UndecodableImageError
from tests.app.conftest import until
from tests.app.sandbox.planted import LIMITS, RESIZING, SIZE

pytestmark = pytest.mark.anyio


@dataclass
class Pool:
    """One slot in the foreground, two in the background."""

    codecs: CodecPool
    metrics: Metrics

    def decode(self, image: str, seconds: float = 20.0) -> "asyncio.Task[int]":
        """The brightness of the decoded image: the length of what it asks for."""

        async def brightness() -> int:
            deadline = asyncio.get_running_loop().time() + seconds
            decoded, pixels, _ = await self.codecs.decode(image.encode(), RESIZING, deadline)
            assert (decoded.width, decoded.height) == (4, 2)
            assert pixels.shape == (SIZE, SIZE, 3)
            return int(pixels[0, 0, 0])

        return asyncio.create_task(brightness())

    def killed(self) -> dict[str, float]:
        (metric,) = self.metrics.codecs_killed.collect()
        return {each.labels["reason"]: each.value for each in metric.samples if each.name.endswith("_total")}

    def busy(self) -> float:
        (metric,) = self.metrics.codecs_busy.collect()
        return metric.samples[0].value


@pytest.fixture
async def pool(anyio_backend: str) -> AsyncIterator[Pool]:
    metrics = Metrics()
    codecs = CodecPool(1, 1000, LIMITS, metrics, program="tests.app.sandbox.planted")
    codecs.start()
    await until(lambda: codecs._idle)
    yield Pool(codecs, metrics)
    codecs.stop()


async def test_decodes_one_after_the_other(pool: Pool) -> None:
    assert await asyncio.gather(*(pool.decode("x" * length) for length in (10, 20, 30))) == [10, 20, 30]
    assert pool.killed() == {}
    assert pool.busy() == 0


@pytest.mark.parametrize(
    ("image", "error", "message", "reason"),
    [
        ("crash", UndecodableImageError, "crashed", "crash"),
        ("killed", ImageTooCostlyError, "more memory", "memory"),
        ("eat", ImageTooCostlyError, "more memory", None),
        ("garbage", UndecodableImageError, "crashed", "crash"),
        ("endless", UndecodableImageError, "crashed", "crash"),
        ("bug", RuntimeError, "ZeroDivisionError: planted", None),
        ("open", RuntimeError, "Too many open files", None),
    ],
)
async def test_a_bad_image_fails_alone(
    pool: Pool, image: str, error: type[Exception], message: str, reason: str | None
) -> None:
    bad, good = pool.decode(image), pool.decode("fine")
    with pytest.raises(error, match=message):
        await bad
    assert await good == len("fine")
    assert pool.killed() == ({reason: 1} if reason else {})
    assert pool.busy() == 0


async def test_more_processor_time_than_any_image_may_take(pool: Pool) -> None:
    with pytest.raises(ImageTooCostlyError, match="more processor time"):
        await pool.decode("burn 60", seconds=60)
    assert pool.killed() == {"processor-time": 1}
    assert await pool.decode("fine") == 4


async def test_at_the_deadline_the_process_is_killed(pool: Pool) -> None:
    with pytest.raises(DeadlineError):
        await pool.decode("sleep 30", seconds=0.3)
    assert await pool.decode("fine") == 4
    assert pool.killed() == {"deadline": 1}


async def test_what_takes_long_gives_its_slot_to_the_next(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "LONG_SECONDS", 0.05)
    long = pool.decode("burn 0.5", seconds=60)
    assert await pool.decode("fine") == 4
    assert not long.done()
    assert await long == len("burn 0.5")
    assert pool.killed() == {}


async def test_what_hangs_gives_its_slot_to_the_next(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "HANGING_SECONDS", 0.05)
    hanging = pool.decode("sleep 60", seconds=5.0)
    assert await pool.decode("fine") == 4
    assert not hanging.done()
    with pytest.raises(DeadlineError):
        await hanging


async def test_where_the_background_is_full_what_takes_long_is_refused(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "HANGING_SECONDS", 0.05)
    hanging = [pool.decode("sleep 60", seconds=10.0) for _ in range(3)]
    fine = pool.decode("fine")
    with pytest.raises(QueueFullError, match="take long"):
        await hanging[2]
    assert await fine == 4
    assert not any(each.done() for each in hanging[:2])
    assert pool.killed() == {"background-full": 1}


async def test_a_deadline_while_waiting_for_the_background_takes_no_slot_of_it(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "HANGING_SECONDS", 0.3)
    hanging = [pool.decode("sleep 60", seconds=seconds) for seconds in (2.5, 2.8, 1.1)]  # in turns: one slot
    for each in hanging:
        with pytest.raises(DeadlineError):
            await each
    await until(lambda: pool.busy() == 0)
    assert pool.killed() == {"deadline": 3}
    assert pool.codecs._background._value == 2


async def test_a_process_works_on_where_nobody_waits_any_more(pool: Pool) -> None:
    given_up = pool.decode("sleep 0.5")
    await until(lambda: pool.busy() == 1)
    given_up.cancel()
    assert await pool.decode("fine") == 4  # in the same process: none was killed
    assert pool.killed() == {}


async def test_whoever_gives_up_while_waiting_takes_no_slot(pool: Pool) -> None:
    working, waiting = pool.decode("sleep 0.5"), pool.decode("waiting")
    await until(lambda: pool.busy() == 1)
    waiting.cancel()
    assert await working == len("sleep 0.5")
    assert await pool.decode("fine") == 4


async def test_what_codecs_write_is_counted_and_lost(pool: Pool, capfd: pytest.CaptureFixture[str]) -> None:
    assert await pool.decode("chatter") == len("chatter")
    assert await pool.decode("fine") == 4
    (metric,) = pool.metrics.codec_stderr_lines.collect()
    assert metric.samples[0].value == 100
    assert capfd.readouterr().err == ""


async def test_stalled_where_no_slot_becomes_free(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "STALLED_SECONDS", 0.1)
    assert pool.codecs.stalled() == []
    working = pool.decode("sleep 1")
    await until(lambda: pool.busy() == 1)
    assert pool.codecs.stalled() == []  # nobody waits
    waiting = pool.decode("fine")
    await until(lambda: pool.codecs.stalled())
    assert "no codec process has become free" in pool.codecs.stalled()[0]
    await asyncio.gather(working, waiting)
    assert pool.codecs.stalled() == []


async def test_a_template_that_dies_is_started_anew(pool: Pool) -> None:
    assert isinstance(pool.codecs._template, Template)
    pool.codecs._template._process.kill()
    pool.codecs._template._process.wait()
    assert await pool.decode("fine") == 4  # its processes live on
    with pytest.raises(UndecodableImageError):
        await pool.decode("crash")
    assert await pool.decode("fine") == 4


async def test_a_process_that_ended_while_it_was_idle_says_nothing_of_the_image(pool: Pool) -> None:
    (idle,) = pool.codecs._idle
    os.kill(idle.number, signal.SIGKILL)
    await until(lambda: not _alive(idle.number))
    assert await pool.decode("fine") == 4
    assert pool.killed() == {"before-image": 1}


async def test_nor_does_one_that_ends_before_it_has_read_the_image(pool: Pool) -> None:
    """Sent it is: into the socket's buffer."""
    (idle,) = pool.codecs._idle
    os.kill(idle.number, signal.SIGSTOP)
    fine = pool.decode("fine")
    await until(lambda: pool.busy() == 1)
    await asyncio.sleep(0.05)
    os.kill(idle.number, signal.SIGKILL)
    assert await fine == 4
    assert pool.killed() == {"before-image": 1}
    assert pool.busy() == 0


async def test_an_image_is_given_to_two_processes_at_most(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each ends at once."""
    started, new_process = [], pool.codecs._new_process

    async def new_and_killed() -> CodecProcess:
        process = await new_process()
        started.append(process.number)
        os.kill(process.number, signal.SIGKILL)
        return process

    monkeypatch.setattr(pool.codecs, "_new_process", new_and_killed)
    await pool.codecs._idle.pop().end()
    with pytest.raises(CodecsUnavailableError, match="end before they have one"):
        await pool.decode("fine")
    assert len(started) == 2
    assert pool.killed() == {"before-image": 2}
    monkeypatch.undo()
    assert await pool.decode("fine") == 4


async def test_an_overlay_that_kills_its_process_is_not_tried_twice(pool: Pool) -> None:
    heatmap, deadline = np.zeros((2, 2), np.float32), asyncio.get_running_loop().time() + 20
    with pytest.raises(ImageTooCostlyError):
        await pool.codecs.overlay(b"killed", None, heatmap, [], deadline)
    assert pool.killed() == {"memory": 1}


async def test_no_process_can_be_started(anyio_backend: str) -> None:
    codecs = CodecPool(1, 1000, LIMITS, Metrics(), program="tests.app.sandbox.absent")
    codecs.start()
    with pytest.raises(CodecsUnavailableError, match="no process that decodes"):
        await codecs.decode(b"", RESIZING, asyncio.get_running_loop().time() + 60)
    assert codecs.stalled() == ["no codec process can be started"]
    codecs.stop()


@pytest.mark.parametrize("call", ["subprocess.Popen", "socket.socketpair"])
async def test_a_system_without_room_for_the_template(
    anyio_backend: str, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """As at a container's limit of processes or of open files: an answer, and no descriptor less."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(f"app.sandbox.process.{call}", fail)
    codecs = CodecPool(1, 1000, LIMITS, Metrics(), program="tests.app.sandbox.planted")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(CodecsUnavailableError, match="no process that decodes"):
            await codecs.decode(b"fine", RESIZING, asyncio.get_running_loop().time() + 60)
    assert codecs.stalled() == ["no codec process can be started"]
    assert len(os.listdir("/proc/self/fd")) == before
    monkeypatch.undo()
    await codecs.decode(b"fine", RESIZING, asyncio.get_running_loop().time() + 60)
    assert codecs.stalled() == []
    codecs.stop()


async def test_signals_to_all_processes_end_none(pool: Pool) -> None:
    """As systemd and terminals send them."""
    working = pool.decode("sleep 0.5")
    await until(lambda: pool.busy() == 1)
    assert isinstance(pool.codecs._template, Template)
    (template,) = [pool.codecs._template._process.pid]
    with open(f"/proc/{template}/task/{template}/children", encoding="ascii") as file:
        processes = [template, *map(int, file.read().split())]
    assert len(processes) == 2
    for process in processes:
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(process, each)
    assert await working == len("sleep 0.5")
    assert await pool.decode("fine") == 4


async def test_stopped_while_it_starts(anyio_backend: str) -> None:
    codecs = CodecPool(1, 1000, LIMITS, Metrics(), program="tests.app.sandbox.planted")
    codecs.start()
    await until(lambda: codecs._template)
    codecs.stop()
    starting = codecs._starting
    assert starting is not None
    await until(starting.done)


async def test_stopped_every_process_ends(anyio_backend: str) -> None:
    codecs = CodecPool(2, 1000, LIMITS, Metrics(), program="tests.app.sandbox.planted")
    codecs.start()
    await until(lambda: len(codecs._idle) == 2)
    working = asyncio.create_task(codecs.decode(b"sleep 60", RESIZING, asyncio.get_running_loop().time() + 60))
    await until(lambda: len(codecs._idle) == 1)
    assert isinstance(codecs._template, Template)
    with open(f"/proc/{codecs._template._process.pid}/task/{codecs._template._process.pid}/children") as file:
        processes = [int(each) for each in file.read().split()]
    assert len(processes) == 2
    codecs.stop()
    with pytest.raises(asyncio.CancelledError):
        await working
    await until(lambda: not any(_alive(each) for each in processes))


def _alive(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
