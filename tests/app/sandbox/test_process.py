"""A template whose answers are cut off, or which has ended: no signal reaches another process than was meant."""

import asyncio
import os
import signal
import subprocess
from contextlib import closing

import pytest

from app.sandbox.messages import Decode, Decoded
from app.sandbox.process import Template
from tests.app.sandbox.planted import LIMITS, RESIZING, SIZE

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("cut_off", ["fork", "end"])
async def test_an_answer_that_nobody_waits_for_is_not_the_next_ones(anyio_backend: str, cut_off: str) -> None:
    """As of a service that stops while it starts. One message late, each answer would tell of another process, and that
    would be killed."""
    with closing(Template(LIMITS, "tests.app.sandbox.planted")) as template:
        process = await template.fork()
        os.kill(template._process.pid, signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.end() if cut_off == "end" else template.fork(), 0.05)
        os.kill(template._process.pid, signal.SIGCONT)
        ended, other = await template.fork(), await template.fork()
        assert await ended.end() in (0, -signal.SIGKILL)  # its socket was closed before
        answer, _ = await other.ask(Decode(1000, RESIZING), b"fine", 3 * SIZE * SIZE)
        assert isinstance(answer.content, Decoded)
        await other.end()
        await process.end()


async def test_a_number_that_may_be_anothers_is_left_alone(anyio_backend: str) -> None:
    """Once the template has ended."""
    with closing(Template(LIMITS, "tests.app.sandbox.planted")) as template:
        process = await template.fork()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        process.number = stranger.pid
        process.go_into_background()
        assert os.getpriority(os.PRIO_PROCESS, stranger.pid) == os.getpriority(os.PRIO_PROCESS, 0)
        assert process.cpu_seconds == 0
        assert await process.end() == 1
        stranger.terminate()
        assert stranger.wait() == -signal.SIGTERM
