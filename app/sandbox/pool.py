"""Codec processes: as many as images are decoded at once, and some in the background for what takes long."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.errors import CodecsUnavailableError, DeadlineError, QueueFullError
from app.monitoring.metrics import Metrics
from app.sandbox.limits import CAN_CONFINE, Limits
from app.sandbox.messages import MEMORY, Answer, Decode, Decoded, Overlay, Refused, Request
from app.sandbox.process import CodecProcess, Template
from app.sandbox.unconfined import Starter
from model import errors
from model.errors import ImageError, ImageTooCostlyError, UndecodableImageError
from model.preprocessing import Resizing
from model.regions import Region

log = logging.getLogger(__name__)

LONG_SECONDS: Final = 0.3
"""Of processor time: an image that takes more goes on in the background, and its slot is free for the next one."""
HANGING_SECONDS: Final = 2.0
"""By the clock: the same, whatever it waits for. As long again may it wait for a slot there; then it is refused."""
STALLED_SECONDS: Final = 5.0
"""Where no slot becomes free for so long, the service isn't ready."""
_PNG_BYTES_PER_PIXEL: Final = 5
_COSTLY: Final = {-24: "processor time", -9: "memory"}
"""SIGXCPU; SIGKILL, by which the system ends processes where memory runs out."""

Result = tuple[Answer, bytearray]
Ask = Callable[[CodecProcess], Awaitable[Result]]


class CodecPool:
    """For the event loop's thread alone.

    An image that has gone to a process stays there until its time is up, even where nobody waits for it any more. Then
    the process is killed, and another takes its place.
    """

    def __init__(
        self, slots: int, max_pixels: int, limits: Limits, metrics: Metrics, program: str = "app.sandbox.template"
    ) -> None:
        """`slots`: images worked on at once, beside those in the background: as many again, and at least two. All of
        these but one may be overlays. `program`: the module that is run as template."""
        background = max(2, slots)
        self._max_pixels = max_pixels
        self._limits = limits
        self._metrics = metrics
        self._program = program
        self._slots = asyncio.Semaphore(slots)
        self._background = asyncio.Semaphore(background)
        self._overlays = asyncio.Semaphore(background - 1)
        self._most_idle = slots
        self._idle: list[CodecProcess] = []
        self._starting: asyncio.Task[None] | None = None
        self._jobs: set[asyncio.Task[Result]] = set()
        self._template: Template | Starter | None = None
        self._waiting = 0
        self._last_taken = 0.0
        self._failed = False
        """Whether no process could be started when one was last needed."""
        self._stopped = False

    def start(self) -> None:
        """Begin to start the processes; images that come before wait for them."""
        self._starting = asyncio.create_task(self._fill())

    def stop(self) -> None:
        """Whatever is being worked on is dropped."""
        self._stopped = True
        if self._starting:  # it may be waiting for the template, which will not answer
            self._starting.cancel()
        for job in self._jobs:
            job.cancel()
        for process in self._idle:
            process.close()
        if self._template:
            self._template.close()

    def stalled(self) -> list[str]:
        """Why no images are decoded, in words. Empty: they are."""
        if self._failed:
            return ["no codec process can be started"]
        seconds = asyncio.get_running_loop().time() - self._last_taken
        stalled = self._waiting and seconds > STALLED_SECONDS
        return [f"no codec process has become free for {seconds:.0f} s"] if stalled else []

    async def decode(self, image: bytes, resizing: Resizing, until: float) -> tuple[Decoded, NDArray[np.uint8], float]:
        """An encoded image as the network sees it, uint8 H×W×3, and the seconds that it took.

        `until` then, on the event loop's clock. Raises ImageError, DeadlineError, QueueFullError or
        CodecsUnavailableError.
        """
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        self._last_taken = asyncio.get_running_loop().time()
        request = Decode(self._max_pixels, resizing)
        answer, pixels = await self._detached(self._decode(request, image, until))
        sent = answer.content
        assert isinstance(sent, Decoded)
        width, height = resizing.frame_of(sent.width, sent.height)
        return sent, np.frombuffer(pixels, np.uint8).reshape(height, width, 3), answer.seconds

    async def overlay(
        self,
        image: bytes,
        full_scale: int | None,
        heatmap: NDArray[np.float32],
        regions: list[Region],
        until: float,
    ) -> tuple[bytes, float]:
        """A PNG of the encoded image with its heatmap and regions drawn in, and the seconds that it took.

        Raises as `decode` does.
        """
        await self._overlays.acquire()
        height, width = heatmap.shape
        request = Overlay(self._max_pixels, full_scale, width, height, heatmap.tobytes(), regions)
        answer, png = await self._detached(self._draw(request, image, until))
        return bytes(png), answer.seconds

    async def _fill(self) -> None:
        with suppress(CodecsUnavailableError):  # logged; whoever needs one tries again
            for _ in range(self._most_idle):
                await self._put_back(await self._new_process())

    async def _decode(self, request: Request, image: bytes, until: float) -> Result:
        """In a slot that has been taken. What takes long goes into the background, and gives the slot back once it has
        one there."""
        slot = self._slots

        async def ask(process: CodecProcess) -> Result:
            nonlocal slot
            asked = asyncio.create_task(process.ask(request, image, self._most_bytes(request)))
            try:
                if await _takes_long(asked, process):
                    process.go_into_background()
                    if await self._background_slot(asked):
                        slot.release()
                        slot = self._background
                return await asked
            finally:
                asked.cancel()

        try:
            return await self._in_process(ask, until)
        finally:
            slot.release()

    async def _draw(self, request: Request, image: bytes, until: float) -> Result:
        async def ask(process: CodecProcess) -> Result:
            process.go_into_background()
            return await process.ask(request, image, self._most_bytes(request))

        try:
            async with self._background:
                return await self._in_process(ask, until)
        finally:
            self._overlays.release()

    async def _background_slot(self, asked: asyncio.Task[Result]) -> bool:
        """Whether there is one, before there is an answer. Raises QueueFullError where there is neither for long."""
        acquired = asyncio.create_task(self._background.acquire())
        try:
            await asyncio.wait({asked, acquired}, timeout=HANGING_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:  # the deadline: nobody would ever release it
            if not acquired.cancel():
                self._background.release()
            raise
        if acquired.done():
            return True
        acquired.cancel()
        if asked.done():
            return False
        self._metrics.codecs_killed.labels("background-full").inc()
        raise QueueFullError("as many images that take long as allowed are being decoded", 1000)

    def _most_bytes(self, request: Request) -> int:
        if isinstance(request, Decode):
            return 3 * request.resizing.most_pixels
        return _PNG_BYTES_PER_PIXEL * self._max_pixels

    async def _detached(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Its result, where it isn't a refusal; it goes on where this is cancelled. Raises ImageError."""
        job = asyncio.create_task(work)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        job.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # somebody has looked at it
        answer, payload = await asyncio.shield(job)
        self._metrics.codec_stderr_lines.inc(answer.stderr_lines)
        if isinstance(answer.content, Refused):
            raise _error(answer.content)
        return answer, payload

    async def _in_process(self, ask: Ask, until: float) -> Result:
        """What a process answers; a new one, once, where that ended before it had the image whole: that says nothing of
        the image."""
        for new in (False, True):
            process = await self._new_process() if new or not self._idle else self._idle.pop()
            with suppress(ConnectionError):
                return await self._answer(process, ask, until)
        raise CodecsUnavailableError("processes that decode images end before they have one")

    async def _answer(self, process: CodecProcess, ask: Ask, until: float) -> Result:
        """Raises ConnectionError where the process ended before it had the image whole."""
        self._metrics.codecs_busy.inc()
        well = False
        try:
            async with asyncio.timeout_at(until):
                answer = await ask(process)
            well = True
            return answer
        except TimeoutError:
            self._metrics.codecs_killed.labels("deadline").inc()
            raise DeadlineError("the image could not be decoded or drawn within the deadline") from None
        except msgspec.DecodeError as error:  # it lives, and is killed: that says nothing of the image
            raise self._death(1, error) from None
        except ConnectionError as error:
            self._metrics.codecs_killed.labels("before-image").inc()
            status = await process.end()
            log.warning("a codec process has ended with status %d (%r) before it had its image", status, error)
            raise
        except (EOFError, OSError) as error:
            raise self._death(await process.end(), error) from None
        finally:
            self._metrics.codecs_busy.dec()
            await (self._put_back(process) if well else process.end())

    async def _put_back(self, process: CodecProcess) -> None:
        """For the next request, unless there are enough, or it is in the background."""
        if self._stopped or process.in_background or len(self._idle) == self._most_idle:
            await process.end()
        else:
            self._idle.append(process)

    def _death(self, status: int, error: Exception) -> Exception:
        """What the client of a process that ended by itself, as `error` told, is told."""
        if status in _COSTLY:
            log.warning("a codec process was ended by signal %d (%r); its image is refused", -status, error)
            self._metrics.codecs_killed.labels(_COSTLY[status].replace(" ", "-")).inc()
            return ImageTooCostlyError(f"the image takes more {_COSTLY[status]} to decode than any image may")
        self._metrics.codecs_killed.labels("crash").inc()
        log.error("a codec process has ended with status %d (%r); its image is refused", status, error)
        return UndecodableImageError("the decoder crashed on this image")

    async def _new_process(self) -> CodecProcess:
        """Raises CodecsUnavailableError."""
        for _ in range(2):
            if self._stopped:
                break
            template = self._template
            try:
                template = self._template = template or self._new_template()
                process = await template.fork()
            except (OSError, EOFError) as error:
                log.error("no codec process can be started: %s; their template is started anew", error)
                if template and self._template is template:  # nobody else has done so meanwhile
                    template.close()
                    self._template = None
            else:
                self._failed = False
                return process
        self._failed = True
        raise CodecsUnavailableError("no process that decodes images can be started")

    def _new_template(self) -> Template | Starter:
        return Template(self._limits, self._program) if CAN_CONFINE else Starter()


async def _takes_long(asked: asyncio.Task[Result], process: CodecProcess) -> bool:
    """Wait for the answer, but no longer than LONG_SECONDS of processor time, or HANGING_SECONDS in all."""
    clock = asyncio.get_running_loop().time
    cpu, began = process.cpu_seconds, clock()
    while not asked.done():
        left = min(LONG_SECONDS - (process.cpu_seconds - cpu), HANGING_SECONDS - (clock() - began))
        if left <= 0:
            return True
        await asyncio.wait({asked}, timeout=left)
    return False


def _error(refused: Refused) -> Exception:
    """What the codec process raised."""
    kind = getattr(errors, refused.error, None)
    if isinstance(kind, type) and issubclass(kind, ImageError):
        return kind(refused.message)
    if refused.error == MEMORY:
        return ImageTooCostlyError("the image takes more memory to decode than any image may")
    return RuntimeError(f"in a codec process: {refused.message}")
