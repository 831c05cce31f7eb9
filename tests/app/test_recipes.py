"""X-Recipe: products by number."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from app.application import create_app
from app.models.model_manager import ModelManager
from app.service import Service
from app.settings import Settings
from tests.app.conftest import running, until
from tests.app.test_model_manager import loaded, manager, put, said
from tests.support.images import encoded

IMAGE = encoded()
RECIPES = {
    "1": {"model": "gadget"},
    "2": {"model": "widget", "version": 1},
    "3": {"model": "widget", "thresholds": {"review": 0.1, "label": 0.2, "reject": 0.3}},
    "4": {"model": "bolt"},
    "5": {"model": "widget", "version": 9},
}


def write(own_store: Path, content: object) -> None:
    (own_store / "recipes.json").write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.fixture
def own_store(store: Path, tmp_path: Path) -> Path:
    """widget 1, 2 and 3, gadget 1."""
    for name, version in (("widget", 1), ("widget", 2), ("widget", 3), ("gadget", 1)):
        put(store, tmp_path / "own_store", name, version)
    write(tmp_path / "own_store", RECIPES)
    return tmp_path / "own_store"


def test_a_version_that_a_recipe_names_is_kept_however_old(own_store: Path) -> None:
    held = manager(own_store)
    held.reconciler.poll()
    assert loaded(held) == {"gadget": [1], "widget": [1, 2, 3]}
    write(own_store, {"1": {"model": "gadget"}})
    held.reconciler.poll()
    assert loaded(held) == {"gadget": [1], "widget": [2, 3]}


def test_a_broken_file_changes_nothing_and_is_named_once(own_store: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    held = manager(own_store, default_model="widget")
    held.reconciler.poll()
    assert "recipes.json is in force: recipes 1, 2, 3, 4, 5" in said(caplog)
    write(own_store, '{"1": {"model": "gadget", "version": "two"}}')
    held.reconciler.poll()
    held.reconciler.poll()
    (message,) = said(caplog)
    assert "recipes.json can't be read: Expected `int | null`" in message
    assert [*held.snapshot.recipes] == [1, 2, 3, 4, 5]
    (own_store / "recipes.json").unlink()
    held.reconciler.poll()
    assert (held.snapshot.recipes, held.snapshot.recipes_error) == ({}, "")


def test_a_store_that_is_away_takes_no_recipe_with_it(own_store: Path) -> None:
    held = manager(own_store)
    held.reconciler.poll()
    own_store.rename(own_store.with_name("away"))
    held.reconciler.poll()
    own_store.mkdir()
    held.reconciler.poll()
    assert [*held.snapshot.recipes] == [1, 2, 3, 4, 5]


def test_what_recipes_name_and_is_not_there_is_warned_of(own_store: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = manager(own_store, default_model="widget")
    held.reconciler.poll()
    warnings = [message for message in said(caplog) if message.startswith("recipes.json: ")]
    assert warnings == [
        "recipes.json: recipe 4: no model 'bolt'",
        "recipes.json: recipe 5: model 'widget' has no version 9",
    ]


def test_recipes_that_cannot_be_used_are_in_the_metrics(own_store: Path) -> None:
    registry = CollectorRegistry()
    held = ModelManager(Settings(store=own_store, device="cpu"), registry)
    found = []
    for content in (RECIPES, {"1": {"model": "gadget"}}, "{"):
        write(own_store, content)
        held.reconciler.poll()
        found.append(registry.get_sample_value("camspector_recipes_error"))
    assert found == [1, 0, 1]


@pytest.fixture
async def client(anyio_backend: str, own_store: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(
        Settings(store=own_store, device="cpu", deadline_ms=60_000, records=str(own_store.parent / "records"))
    )
    async with running(app) as client:
        service: Service = app.state.service
        await until(lambda: loaded(service.model_manager) == {"gadget": [1], "widget": [1, 2, 3]})
        yield client


async def test_a_number_selects_model_version_and_thresholds(client: httpx.AsyncClient) -> None:
    found = []
    for number in ("1", "2", "3"):
        reply = await client.post("/predict", content=IMAGE, headers={"X-Recipe": number})
        assert reply.status_code == 200, reply.text
        inspection = (await client.get(f"/v1/inspections/{reply.json()['inference_id']}")).json()
        assert inspection["thresholds"] == reply.json()["thresholds"]  # by what it was decided is recorded
        found.append((reply.json()["model"], reply.json()["model_version"], inspection["thresholds"]["reject"]))
    own = found[0][2]
    assert found == [("gadget", 1, own), ("widget", 1, own), ("widget", 3, 0.3)]
    assert own != 0.3
    plain = await client.post("/v1/models/widget/predict", content=IMAGE)
    assert plain.json()["thresholds"]["reject"] == own  # the recipe's are its own


async def test_as_one_line_for_a_plc(client: httpx.AsyncClient) -> None:
    reply = await client.post("/predict", content=IMAGE, headers={"X-Recipe": "2", "Accept": "text/plain"})
    assert (reply.status_code, "widget" in reply.text) == (200, True)


@pytest.mark.parametrize(
    ("address", "number", "status", "error", "reason"),
    [
        ("/predict", "7", 404, "unknown-recipe", "no recipe 7; there are: 1, 2, 3, 4, 5"),
        ("/predict", "4", 404, "unknown-model", "no model 'bolt'"),
        ("/predict", "5", 404, "unknown-version", "model 'widget' has no version 9"),
        ("/predict", "0", 400, "bad-parameter", "X-Recipe"),
        ("/predict", "1000000", 400, "bad-parameter", "X-Recipe"),
        ("/predict", "one", 400, "bad-parameter", "X-Recipe"),
        ("/v1/models/widget/predict", "1", 400, "bad-parameter", "recipe 1 is of model 'gadget'"),
        (
            "/v1/models/widget/versions/3/predict",
            "2",
            400,
            "bad-parameter",
            "recipe 2 is of version 1 of model 'widget'",
        ),
    ],
)
async def test_refusals(
    client: httpx.AsyncClient, address: str, number: str, status: int, error: str, reason: str
) -> None:
    reply = await client.post(address, content=IMAGE, headers={"X-Recipe": number})
    assert (reply.status_code, reply.json()["error"]) == (status, error)
    assert reason in reply.json()["detail"]


async def test_a_number_that_is_there_twice(client: httpx.AsyncClient) -> None:
    reply = await client.post("/predict", content=IMAGE, headers=[("X-Recipe", "1"), ("X-Recipe", "2")])
    assert (reply.status_code, reply.json()["error"]) == (400, "bad-parameter")


async def test_under_v2_the_model_of_the_address_must_be_the_recipe_s(client: httpx.AsyncClient) -> None:
    reply = await client.post("/v2/models/widget/infer", json={}, headers={"X-Recipe": "1"})
    assert (reply.status_code, "recipe 1 is of model 'gadget'" in reply.text) == (400, True)


async def test_under_v2_it_decides_as_the_native_address_does(client: httpx.AsyncClient) -> None:
    """To the digit, by the same header: at the model's own address, or that of the version that the recipe names."""
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [base64.b64encode(IMAGE).decode()]}
    names = ("label", "decision", "probability", "inspectable", "typicality")
    asked = {"inputs": [tensor], "outputs": [{"name": name} for name in names]}
    own, model_address = {}, "/v2/models/widget/infer"
    for number, address in (("2", model_address), ("2", "/v2/models/widget/versions/1/infer"), ("3", model_address)):
        headers = {"X-Recipe": number}
        native = (await client.post("/predict", content=IMAGE, headers=headers)).json()
        reply = await client.post(address, json=asked, headers=headers)
        assert reply.status_code == 200, reply.text
        given = {output["name"]: output["data"][0] for output in reply.json()["outputs"]}
        assert reply.json()["model_version"] == str(native["model_version"])
        assert [given[name] for name in names] == [native[name] for name in names]
        (inference_id,) = reply.headers["X-Camspector-Inference-ID"].split(",")
        recorded = (await client.get(f"/v1/inspections/{inference_id}")).json()
        assert [recorded[name] for name in ("log_odds", "thresholds")] == [native["log_odds"], native["thresholds"]]
        own[number] = recorded["thresholds"]["reject"]
    assert own["3"] == 0.3 != own["2"]


async def test_recipes_are_listed(client: httpx.AsyncClient) -> None:
    reply = (await client.get("/v1/recipes")).json()
    assert reply["error"] is None
    assert [(each["number"], each["model"], each["version"], each["problem"]) for each in reply["recipes"]] == [
        (1, "gadget", None, None),
        (2, "widget", 1, None),
        (3, "widget", None, None),
        (4, "bolt", None, "no model 'bolt'"),
        (5, "widget", 9, "model 'widget' has no version 9"),
    ]
    assert reply["recipes"][2]["thresholds"] == {"review": 0.1, "label": 0.2, "reject": 0.3}
