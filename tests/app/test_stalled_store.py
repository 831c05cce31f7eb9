"""A store that hangs, as a network file system does: calls into it don't return, and can't be broken off."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from app.application import create_app
from app.middleware.keys import new_key
from app.service import Service
from app.settings import Settings
from model.errors import StoreError
from model.store import Store
from model.store_layout import ModelFolder
from tests.app.conftest import running, until
from tests.app.test_model_manager import put
from tests.support.images import encoded
from tests.support.process import PATIENCE, served

ADMIN, ADMIN_KEY = new_key("admin", "office")


@pytest.fixture
def hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], threading.Event]]:
    """Let every look at this test's store hang from now on, until the event is set; other services' go on."""
    back = threading.Event()

    def begin() -> threading.Event:
        models = Store.model_folders

        def hanging(self: Store) -> dict[str, ModelFolder | StoreError]:
            if self.root.is_relative_to(tmp_path):
                back.wait()
            return models(self)

        monkeypatch.setattr(Store, "model_folders", hanging)
        return back

    yield begin
    back.set()


def age(metrics: str) -> float:
    (found,) = re.findall(r"^camspector_store_poll_age_seconds (\S+)$", metrics, re.MULTILINE)
    return float(found)


@pytest.mark.anyio
async def test_it_is_told_once_and_stops_nothing_else(
    store: Path,
    tmp_path: Path,
    hang: Callable[[], threading.Event],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "app.models")
    monkeypatch.setattr("app.routes.admin.WAIT_SECONDS", 0.5)
    put(store, tmp_path / "own_store", "widget", 1)
    (tmp_path / "keys").write_text(ADMIN_KEY.line)
    app = create_app(
        Settings(store=tmp_path / "own_store", device="cpu", keys_file=tmp_path / "keys", store_poll_seconds=0.01)
    )
    service: Service = app.state.service

    def told() -> list[str]:
        return [record.message for record in caplog.records if str(tmp_path) in record.message]

    async with running(app) as client:
        client.headers["X-API-Key"] = ADMIN
        await until(lambda: not service.unready())
        monkeypatch.setattr("app.inference.watchdog.FILE_SYSTEM_SECONDS", 0.5)  # loading may take longer
        back = hang()
        await until(told)
        before = age((await client.get("/metrics")).text)
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.get("/v1/models")).status_code == 200
        assert (await client.post("/predict", content=encoded())).status_code == 200
        for reply in (
            await client.post("/v1/admin/reload"),
            await client.put("/v1/admin/models/widget/serving", json={}),
        ):
            assert (reply.status_code, reply.json()["error"]) == (504, "deadline-passed")
        assert age((await client.get("/metrics")).text) > before + 0.5
        assert len(told()) == 1
        assert f"polling the store {tmp_path / 'own_store'}" in told()[0]
        back.set()
        await until(lambda: len(told()) == 2)
        assert told()[1].startswith("resolved: ")
        assert age((await client.get("/metrics")).text) < before
        assert (await client.post("/v1/admin/reload")).status_code == 200
        assert not (tmp_path / "own_store/widget/serving.json").exists()  # what was answered 504 is not done later


def test_the_process_stops_all_the_same(store: Path, tmp_path: Path) -> None:
    """Here the file system hangs in truth: reading a pipe that nobody writes to."""
    put(store, tmp_path / "own_store", "widget", 1)
    with served(tmp_path / "own_store", "--drain-seconds", "0", "--store-poll-seconds", "0.1") as server:
        server.wait_until_ready()
        (tmp_path / "own_store/widget/2").mkdir()
        os.mkfifo(tmp_path / "own_store/widget/2/manifest.json")
        writer = os.open(tmp_path / "own_store/widget/2/manifest.json", os.O_RDWR)  # opened by both: the read hangs
        try:
            time.sleep(1)
            reply = httpx.post(f"{server.url}/predict", content=encoded(), timeout=PATIENCE)
            assert (reply.status_code, reply.json()["model_version"]) == (200, 1)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(PATIENCE) == 0
        finally:
            os.close(writer)
