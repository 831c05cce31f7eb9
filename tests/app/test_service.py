"""A service's parts start and stop together."""

from pathlib import Path

import pytest

from app.application import create_app
from app.service import Service
from app.settings import Settings
from tests.app.conftest import running, until

pytestmark = pytest.mark.anyio


async def test_whatever_ends_its_life_stops_every_part(tmp_path: Path) -> None:
    app = create_app(Settings(store=tmp_path, device="cpu"))
    service: Service = app.state.service

    async def live() -> None:
        async with running(app):
            await until(lambda: service.codecs._idle)
            assert service.dead() == []
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await live()
    assert len(service.dead()) == len(service.workers) + 2  # the manager's thread, and the keys'
    assert all(process._connection.fileno() == -1 for process in service.codecs._idle)
