"""A service's parts start and stop together."""

from pathlib import Path

import pytest

from app.application import create_app
from app.documentation import VERSION
from app.service import Service
from app.settings import Settings
from tests.app.conftest import running, until

pytestmark = pytest.mark.anyio


async def test_whatever_ends_its_life_stops_every_part(tmp_path: Path) -> None:
    app = create_app(Settings(store=tmp_path, device="cpu"))
    service: Service = app.state.service

    async def live() -> None:
        async with running(app):
            await until(lambda: service.inference.codecs._idle)
            assert service.dead() == []
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await live()
    assert len(service.dead()) == len(service.inference.workers) + 2  # the manager's thread, and the keys'
    assert all(process._connection.fileno() == -1 for process in service.inference.codecs._idle)


async def test_the_metrics_name_station_and_line(tmp_path: Path) -> None:
    app = create_app(Settings(store=tmp_path, device="cpu", station="cell-7", line="3"))
    async with running(app) as client:
        metrics = (await client.get("/metrics")).text
    assert f'camspector_service_info{{line="3",station="cell-7",version="{VERSION}"}} 1.0' in metrics
