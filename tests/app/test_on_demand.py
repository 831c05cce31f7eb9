"""Models that are loaded when they are asked for, within --models-max-bytes."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import generate_latest

from app.application import create_app
from app.models.model_manager import ModelManager
from app.models.model_snapshot import LoadedModel
from app.service import Service
from app.settings import Settings
from model.artifact import WEIGHTS
from tests.app.conftest import running, until
from tests.app.test_model_manager import breaking, loaded, manager, put
from tests.support.images import encoded

NAMES = ("bolt", "gasket", "nut")
IMAGE = encoded()


@pytest.fixture
def own_store(store: Path, tmp_path: Path) -> Path:
    """Three models of one version each."""
    for name in NAMES:
        put(store, tmp_path / "own_store", name, 1)
    return tmp_path / "own_store"


@pytest.fixture
def two(store: Path) -> int:
    """Room for two models."""
    return 2 * 4 * (store / "widget" / "1" / WEIGHTS).stat().st_size


def serving(own_store: Path, name: str, **content: object) -> None:
    (own_store / name / "serving.json").write_text(json.dumps(content))


def in_memory(held: ModelManager) -> list[str]:
    return [name for name, versions in loaded(held).items() if versions]


def settle(held: ModelManager) -> None:
    """What the thread does when nobody asks for anything."""
    while held.reconciler.plan():
        held.reconciler.load_ahead()


def ask(held: ModelManager, name: str, version: int | None = None) -> None:
    held.reconciler.provide(name, version)
    held.memory._used_at[name, version or 1] = max(held.memory._used_at.values(), default=0.0) + 1


def test_without_a_limit_all_are_loaded(own_store: Path) -> None:
    held = manager(own_store)
    held.reconciler.poll()
    assert in_memory(held) == [*NAMES]


def test_nothing_is_loaded_at_first_and_the_service_is_ready(own_store: Path, two: int) -> None:
    held = manager(own_store, models_max_bytes=two)
    assert held.unready() != []
    held.reconciler.poll()
    assert (in_memory(held), held.unready()) == ([], [])


def test_all_are_tested_when_there_is_time_and_memory_keeps_its_limit(own_store: Path, two: int) -> None:
    held = manager(own_store, models_max_bytes=two)
    held.reconciler.poll()
    settle(held)
    assert len(in_memory(held)) == 2
    assert {name: [*state.known] for name, state in held.snapshot.models.items()} == {name: [1] for name in NAMES}
    assert held.snapshot.size <= two


def test_the_least_recently_used_leaves_first(own_store: Path, two: int) -> None:
    held = manager(own_store, models_max_bytes=two)
    held.reconciler.poll()
    for name in ("nut", "bolt", "nut", "gasket"):
        ask(held, name)
    assert in_memory(held) == ["gasket", "nut"]
    settle(held)
    assert in_memory(held) == ["gasket", "nut"]


def test_a_resident_model_and_the_default_one_stay(own_store: Path, two: int) -> None:
    serving(own_store, "nut", resident=True)
    held = manager(own_store, models_max_bytes=two, default_model="bolt")
    held.reconciler.poll()
    assert in_memory(held) == ["bolt", "nut"]
    ask(held, "gasket")
    assert in_memory(held) == [*NAMES]  # nothing else may go
    serving(own_store, "nut")
    held.reconciler.poll()
    assert held.snapshot.required == {"bolt", "nut"}  # as it was at the start


def test_more_resident_models_than_memory_are_warned_of(
    own_store: Path, two: int, caplog: pytest.LogCaptureFixture
) -> None:
    for name in NAMES:
        serving(own_store, name, resident=True)
    held = manager(own_store, models_max_bytes=two, default_model="nut")
    held.reconciler.poll()
    assert in_memory(held) == [*NAMES]
    assert "resident models take" in caplog.text


def test_a_bug_while_nobody_asks_is_told_and_ends_in_no_hot_loop(
    own_store: Path, two: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = manager(own_store, models_max_bytes=two)
    held.reconciler.poll()
    monkeypatch.setattr(held.reconciler._loader, "load", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        held.reconciler.load_ahead()
    assert held.reconciler.plan() == []
    monkeypatch.undo()
    held.reconciler.poll()
    settle(held)
    assert len(in_memory(held)) == 2


def test_a_store_that_stalls_with_an_error_is_polled_at_its_pace(
    own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = manager(own_store, store_poll_seconds=3600)
    monkeypatch.setattr(held.reconciler._loader, "read_store", lambda: 1 / 0)
    held._polling().run()
    assert held._poll_at - held.reconciler.polled_at > 3000


def test_a_model_becomes_resident(own_store: Path, two: int) -> None:
    held = manager(own_store, models_max_bytes=two)
    held.reconciler.poll()
    settle(held)
    (away,) = {*NAMES} - {*in_memory(held)}
    serving(own_store, away, resident=True)
    held.reconciler.poll()
    assert away in in_memory(held)
    for name in NAMES:
        ask(held, name)
    assert away in in_memory(held)


def test_requests_in_flight_keep_their_version(own_store: Path, two: int) -> None:
    held = manager(own_store, models_max_bytes=two)
    held.reconciler.poll()
    first = held.reconciler.provide("bolt", None)
    ask(held, "gasket")
    ask(held, "nut")
    assert "bolt" not in in_memory(held)
    again = held.reconciler.provide("bolt", None)
    assert again.detector.engine is not first.detector.engine
    image = IMAGE
    assert first.detector.run(first.detector.read_image(image).pixels).evidence == pytest.approx(
        again.detector.run(again.detector.read_image(image).pixels).evidence
    )


def test_a_serving_config_holds_for_what_is_not_in_memory(own_store: Path, two: int) -> None:
    held = manager(own_store, models_max_bytes=two)
    held.reconciler.poll()
    settle(held)
    (away,) = {*NAMES} - {*in_memory(held)}
    serving(own_store, away, thresholds=0.9)
    held.reconciler.poll()
    assert away not in in_memory(held)
    assert held.reconciler.provide(away, None).detector.thresholds.reject == 0.9


def test_a_version_that_changed_since_is_tested_in_full_and_named(own_store: Path, two: int) -> None:
    held = manager(own_store, models_max_bytes=two)
    held.reconciler.poll()
    settle(held)
    (away,) = {*NAMES} - {*in_memory(held)}
    breaking(own_store / away / "1")
    with pytest.raises(Exception, match=r"gives golden/0\.png log-odds of"):
        held.reconciler.provide(away, None)
    assert "golden/0.png" in held.snapshot.models[away].refused[1]
    assert held.unready() == []
    assert held.reconciler.provide("bolt" if away != "bolt" else "nut", None)


def test_weights_that_changed_are_found_by_their_digest(own_store: Path, two: int, tmp_path: Path) -> None:
    held = manager(own_store, models_max_bytes=two)
    held.reconciler.poll()
    settle(held)
    (away,) = {*NAMES} - {*in_memory(held)}
    weights = own_store / away / "1" / WEIGHTS
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.unlink()
    weights.write_bytes(content)
    held.reconciler._loader._opened[away, 1] = held.reconciler._loader._signature(
        away, 1
    )  # as if nobody could tell by the file's times
    with pytest.raises(Exception, match="is not the file that was exported"):
        held.reconciler.provide(away, None)


def test_a_failure_is_tried_again_at_a_poll_and_not_at_every_request(
    own_store: Path, two: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking(own_store / "nut" / "1")
    held = manager(own_store, models_max_bytes=two)
    held.reconciler.poll()
    tried: list[str] = []
    load = held.reconciler._loader.load

    def counted(name: str, *others: Any) -> LoadedModel:
        tried.append(name)
        return load(name, *others)

    monkeypatch.setattr(held.reconciler._loader, "load", counted)
    for _ in range(3):
        with pytest.raises(Exception, match=r"gives golden/0\.png log-odds of"):
            held.reconciler.provide("nut", None)
    assert tried == ["nut"]
    held.reconciler.provide("bolt", None)
    assert in_memory(held) == ["bolt"]


def test_a_broken_newest_version_leaves_the_one_before(store: Path, own_store: Path, two: int) -> None:
    breaking(put(store, own_store, "nut", 2))
    held = manager(own_store, models_max_bytes=two)
    held.reconciler.poll()
    assert held.reconciler.provide("nut", None).version == 1
    with pytest.raises(Exception, match="was refused"):
        held.reconciler.provide("nut", 2)


def test_a_removed_model_is_forgotten_only_when_nothing_of_it_is_known(own_store: Path, two: int) -> None:
    held = manager(own_store, models_max_bytes=two)
    held.reconciler.poll()
    shutil.rmtree(own_store / "nut")
    held.reconciler.poll()
    assert [*held.snapshot.models] == ["bolt", "gasket"]


@pytest.fixture
async def on_demand(anyio_backend: str, own_store: Path, two: int) -> AsyncIterator[tuple[httpx.AsyncClient, FastAPI]]:
    app = create_app(Settings(store=own_store, device="cpu", models_max_bytes=two, deadline_ms=60_000))
    async with running(app) as client:
        service: Service = app.state.service
        await until(lambda: service.model_manager.snapshot.models)
        yield client, app


async def test_requests_for_one_model_load_it_once(on_demand: tuple[httpx.AsyncClient, FastAPI]) -> None:
    client, app = on_demand
    service: Service = app.state.service
    assert (await client.get("/readyz")).status_code == 200
    replies = await asyncio.gather(*(client.post("/v1/models/nut/predict", content=IMAGE) for _ in range(4)))
    assert [reply.status_code for reply in replies] == [200] * 4
    await until(lambda: not service.model_manager.reconciler.plan())
    text = generate_latest(service.metrics.registry).decode()
    assert "camspector_model_load_seconds_count 3.0" in text  # nut's, and those of the two that nobody asked for
    assert "camspector_model_evictions_total 1.0" in text
    assert 'camspector_model_loaded_versions{model="nut"} 1.0' in text


async def test_each_model_answers_and_is_listed_whether_it_is_in_memory_or_not(
    on_demand: tuple[httpx.AsyncClient, FastAPI],
) -> None:
    client, app = on_demand
    service: Service = app.state.service
    for name in (*NAMES, *NAMES):
        reply = await client.post(f"/v1/models/{name}/predict", content=IMAGE)
        assert (reply.status_code, reply.json()["model"]) == (200, name)
    await until(lambda: not service.model_manager.reconciler.plan())
    models = (await client.get("/v1/models")).json()["models"]
    assert [model["serving"] for model in models] == [1, 1, 1]
    assert sorted(version["loaded"] for model in models for version in model["versions"]) == [False, True, True]
    for name in NAMES:
        assert (await client.get(f"/v2/models/{name}")).json()["versions"] == ["1"]
        assert (await client.get(f"/v2/models/{name}/ready")).json()["ready"] is True


async def test_which_model_an_address_without_one_means_is_open(
    on_demand: tuple[httpx.AsyncClient, FastAPI],
) -> None:
    """From the first moment on: before anything is loaded, too."""
    client, _ = on_demand
    reply = await client.post("/predict", content=IMAGE)
    assert (reply.status_code, reply.json()["error"]) == (404, "unknown-model")


async def test_a_model_that_is_not_loaded_in_time_is_a_passed_deadline(
    on_demand: tuple[httpx.AsyncClient, FastAPI], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, app = on_demand
    service: Service = app.state.service
    await until(lambda: not service.model_manager.reconciler.plan())
    (away,) = {*NAMES} - {*in_memory(service.model_manager)}
    held = asyncio.Event()
    loop = asyncio.get_running_loop()
    stalled = service.model_manager._jobs.submit(lambda: asyncio.run_coroutine_threadsafe(held.wait(), loop).result())
    reply = await client.post(f"/v1/models/{away}/predict", content=IMAGE, headers={"X-Deadline-Ms": "50"})
    assert (reply.status_code, reply.json()["error"]) == (504, "deadline-passed")
    held.set()
    await asyncio.wrap_future(stalled)
    await until(lambda: not service.model_manager._jobs._queue.qsize())
    assert away not in in_memory(service.model_manager)  # nobody waits any more: it wasn't begun
