"""The real application over a small real store, and one whose engine the test holds in its hand."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from numpy.typing import NDArray

from app.application import create_app
from app.models.model_snapshot import LoadedModel, ModelSnapshot, ModelState
from app.sandbox import pool
from app.sandbox.limits import Limits
from app.sandbox.process import Template
from app.service import Service
from app.settings import Settings
from model.artifact import read_artifact
from model.detector import Detector
from model.engines.output import NetworkOutput
from model.manifest import EngineName
from tests.support.artifacts import NETWORK, publish
from tests.support.images import encoded
from tests.support.process import PATIENCE, Server, served


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CAMSPECTOR_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True, scope="session")
def one_template() -> Iterator[None]:
    """Services in this process fork their codec processes from one template: each would take half a second to start."""
    templates: dict[Limits, Template] = {}
    loops: dict[Limits, asyncio.AbstractEventLoop] = {}

    def shared(limits: Limits, program: str) -> Template:
        if program != "app.sandbox.template":
            return Template(limits, program)
        if limits not in templates:
            templates[limits] = Template(limits, program)
            templates[limits].close = lambda: None  # type: ignore[method-assign]  # a service that stops
        if loops.get(limits) is not (loop := asyncio.get_running_loop()):
            loops[limits], templates[limits]._turn = loop, asyncio.Lock()  # a lock serves one event loop
        return templates[limits]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "Template", shared)
        yield
    for template in templates.values():
        Template.close(template)


def publish_with_reports(store: Path, model: str) -> None:
    """Versions 1 and 2, which differ."""
    for slope in (10.0, 5.0):
        report = publish(store, model, slope=slope) / "report"
        report.mkdir()
        (report / "report.html").write_text("<!doctype html><title>How good it is</title>")
        (report / "report.json").write_text("{}")


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """gadget 1; widget 1 and 2, which differ, and have reports. For reading: the whole session shares it."""
    root = tmp_path_factory.mktemp("store")
    publish_with_reports(root, "widget")
    publish(root, "gadget", slope=1.0)
    return root


@pytest.fixture(scope="session")
def capsule_store(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """widget again, alone and under the name that the documentation uses: a link, so for reading too."""
    root = tmp_path_factory.mktemp("capsule_store")
    (root / "capsule").symlink_to(store / "widget")
    return root


@pytest.fixture(scope="session")
def server(capsule_store: Path) -> Iterator[Server]:
    """A real process, which must also end well."""
    with served(capsule_store, "--deadline-ms", "60000") as server:
        server.wait_until_ready()
        server.wait_until_loaded("capsule", 1)
        yield server
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(PATIENCE) == 0


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """The application between startup and shutdown, and a client of it."""
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://camspector") as client,
    ):
        yield client


async def until(condition: object) -> None:
    """Wait for a callable to become true."""
    assert callable(condition)
    with anyio.fail_after(PATIENCE):
        while not condition():
            await anyio.sleep(0.005)


@pytest.fixture(scope="session")
async def client(anyio_backend: str, store: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Of the real application with every model loaded; `widget` is the default."""
    app = create_app(Settings(store=store, device="cpu", default_model="widget", deadline_ms=60_000))
    async with running(app) as client:
        models = app.state.service.model_manager
        await until(lambda: [[*model.loaded] for model in models.snapshot.models.values()] == [[1], [2, 1]])
        yield client


@dataclass
class FakeEngine:
    """Stands in for a network at the engine's seam: says how bright each image is, when it is let."""

    error: Exception | None = None
    batches: list[list[int]] = field(default_factory=list)
    """The mean brightness of each image of each batch."""
    gate: threading.Event = field(default_factory=threading.Event)
    name: EngineName = "onnxruntime"
    device: str = "cpu"
    max_concurrency: int = 1
    preferred_batch_size: int = 64

    def run(self, pixels: NDArray[np.uint8], *, exclusive: bool = True) -> NetworkOutput:
        brightness = pixels.mean(axis=(1, 2, 3))
        self.batches.append([round(mean) for mean in brightness])
        assert self.gate.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        maps = np.repeat(np.float32(brightness / 255 - 0.5), 16).reshape(-1, 4, 4)
        return NetworkOutput(maps, np.ones((len(pixels), NETWORK.features(4)), np.float32))


@dataclass
class Bench:
    """A service whose models `widget` and `gadget` run on fake engines; their gates are closed."""

    client: httpx.AsyncClient
    service: Service
    widget: FakeEngine
    gadget: FakeEngine

    async def predict(self, brightness: int = 128, model: str = "widget", **headers: str) -> httpx.Response:
        content = encoded(brightness=brightness)
        return await self.client.post(f"/v1/models/{model}/predict", content=content, headers=headers)

    def waiting(self) -> int:
        """Images in the queue, not those that an engine has."""
        (depth,) = self.service.metrics.queue_depth.collect()
        return int(depth.samples[0].value)


def fake_detector(store: Path, engine: FakeEngine) -> Detector:
    artifact = read_artifact(store / "widget" / "1")
    manifest = artifact.manifest
    return Detector(manifest, manifest.variant("float32"), engine, artifact.appearance)


@pytest.fixture
async def bench(anyio_backend: str, store: Path, tmp_path: Path) -> AsyncIterator[Bench]:
    """With 4 slots, batches of 3 at most, and a deadline that no test waits for."""
    settings = Settings(store=tmp_path, device="cpu", queue_size=4, max_batch=3, deadline_ms=60_000)
    app = create_app(settings)
    service: Service = app.state.service
    widget, gadget = FakeEngine(), FakeEngine()
    engines = {"gadget": gadget, "widget": widget}
    for worker in service.inference.workers:
        worker._report = lambda _: None  # the manager has no files to open a fake engine from
    async with running(app) as client:
        service.model_manager.memory.snapshot = ModelSnapshot(
            {
                name: ModelState(available=(1,), loaded={1: LoadedModel(name, 1, fake_detector(store, engine))})
                for name, engine in engines.items()
            }
        )
        yield Bench(client, service, widget, gadget)
        widget.gate.set()
        gadget.gate.set()
