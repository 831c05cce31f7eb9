"""The real application with records in a folder."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import Engine

from app.application import create_app
from app.records.images import Images
from app.records.records import Records
from app.records.writer import Writer
from app.settings import Settings
from tests.app.conftest import running, until
from tests.support.process import PATIENCE


@dataclass
class Recorder:
    """A service that keeps records, and a client of it."""

    client: httpx.AsyncClient
    app: FastAPI
    folder: Path

    @property
    def records(self) -> Records:
        records: Records = self.app.state.service.records
        return records

    def count(self, result: str) -> int:
        return int(self.app.state.service.metrics.records.labels(result)._value.get())


@pytest.fixture
async def recorder(anyio_backend: str, store: Path, tmp_path: Path) -> AsyncIterator[Recorder]:
    """Every image is kept."""
    settings = Settings(
        store=store,
        device="cpu",
        default_model="widget",
        deadline_ms=60_000,
        records=str(tmp_path / "records"),
        records_images="all",
        station="cell 7",
        line="line 3",
    )
    app = create_app(settings)
    async with running(app) as client:
        models = app.state.service.model_manager
        await until(lambda: [[*model.loaded] for model in models.snapshot.models.values()] == [[1], [2, 1]])
        await until(lambda: not app.state.service.records._writer.error)
        yield Recorder(client, app, tmp_path / "records")


@pytest.fixture
def writer(tmp_path: Path, engine: Engine) -> Iterator[Writer]:
    """Writes to the database `engine`, which each file has of its own."""
    writer = Writer(engine, Images(tmp_path / "images"), Counter("c", "C.", ["r"], registry=CollectorRegistry()))
    writer.thread.start()
    yield writer
    writer.close()
    writer.thread.join(PATIENCE)
