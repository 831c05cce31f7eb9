"""Codec processes that are started by themselves, where nothing confines them."""

import socket

import pytest

from app.sandbox.messages import Decode, Decoded, Refused
from app.sandbox.unconfined import Starter
from model.preprocessing import Resizing
from tests.support.images import encoded

pytestmark = pytest.mark.anyio
REQUEST = Decode(max_pixels=96 * 96, resizing=Resizing(8, None, reduced=True))


async def test_one_answers_until_it_is_ended() -> None:
    """Though a stranger was the first to connect."""
    starter = Starter()
    with socket.create_connection(starter._listening.getsockname()) as stranger:
        stranger.sendall(bytes(32))
        process = await starter.fork()
    answer, pixels = await process.ask(REQUEST, encoded(), 8 * 8 * 3)
    assert (answer.content, len(pixels)) == (Decoded(96, 96), 8 * 8 * 3)
    answer, _ = await process.ask(REQUEST, b"no image", 8 * 8 * 3)
    assert isinstance(answer.content, Refused)
    assert await process.end() != 0
    starter.close()


async def test_one_that_can_not_be_started_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.sandbox.unconfined._START_SECONDS", 0.1)
    monkeypatch.setattr("app.sandbox.unconfined.__name__", "app.sandbox.absent")
    starter = Starter()
    with pytest.raises(TimeoutError):  # an OSError
        await starter.fork()
    starter.close()
