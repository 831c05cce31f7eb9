"""Changing what serves by calls: the real application over a store of its own."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from app.application import create_app
from app.middleware.keys import new_key
from app.settings import Settings
from model.store import Store
from tests.app.conftest import running, until
from tests.app.test_model_manager import breaking, put
from tests.support.images import encoded

pytestmark = pytest.mark.anyio

ADMIN, ADMIN_KEY = new_key("admin", "office")


@pytest.fixture
async def admin(anyio_backend: str, store: Path, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Of a service that has loaded widget 1, and looks at its store only when it is asked to."""
    put(store, tmp_path / "own_store", "widget", 1)
    (tmp_path / "keys").write_text(ADMIN_KEY.line)
    settings = Settings(
        store=tmp_path / "own_store", device="cpu", keys_file=tmp_path / "keys", store_poll_seconds=3600, max_batch=1
    )
    app = create_app(settings)
    async with running(app) as client:
        await until(lambda: not app.state.service.unready())
        client.headers["X-API-Key"] = ADMIN
        yield client


@pytest.fixture
def own_store(tmp_path: Path) -> Path:
    return tmp_path / "own_store"


async def test_reload_answers_when_what_is_new_is_there(admin: httpx.AsyncClient, store: Path, own_store: Path) -> None:
    assert (await admin.post("/v1/admin/reload")).json() == {"changed": []}
    for version in (2, 3, 4):
        put(store, own_store, "widget", version)
    breaking(own_store / "widget" / "4")
    put(store, own_store, "gadget", 1)
    reply = await admin.post("/v1/admin/reload")
    assert reply.status_code == 200
    gadget, widget = reply.json()["changed"]
    assert (gadget["model"], gadget["previous"], gadget["serving"], gadget["loaded"]) == ("gadget", None, 1, [1])
    assert (widget["model"], widget["previous"], widget["serving"]) == ("widget", 1, 3)
    assert (widget["loaded"], widget["released"], widget["serving_error"]) == ([2, 3], [1], None)
    (refused,) = widget["refused"]
    assert refused["version"] == 4
    assert "golden/0.png" in refused["reason"]
    assert (await admin.post("/v1/models/widget/predict", content=encoded())).json()["model_version"] == 3


async def test_reload_tells_of_a_broken_file(admin: httpx.AsyncClient, own_store: Path) -> None:
    (own_store / "widget" / "serving.json").write_text("{")
    (widget,) = (await admin.post("/v1/admin/reload")).json()["changed"]
    assert (widget["previous"], widget["serving"]) == (1, 1)
    assert "serving.json can't be read" in widget["serving_error"]
    assert (await admin.get("/v1/models/widget")).json()["serving_error"] == widget["serving_error"]


async def test_what_serves_is_changed_in_one_step(admin: httpx.AsyncClient, store: Path, own_store: Path) -> None:
    put(store, own_store, "widget", 2)
    await admin.post("/v1/admin/reload")
    wanted = {"version": 1, "thresholds": {"review": 0.0, "label": 0.0, "reject": 1.0}, "defect_rate": 0.02}
    reply = await admin.put("/v1/admin/models/widget/serving", json=wanted)
    assert reply.status_code == 200
    assert reply.json() == (await admin.get("/v1/models/widget")).json()
    assert (reply.json()["serving"], reply.json()["pinned"], reply.json()["serving_error"]) == (1, 1, None)
    assert json.loads((own_store / "widget" / "serving.json").read_text()) == wanted
    verdict = (await admin.post("/v1/models/widget/predict", content=encoded())).json()
    assert (verdict["model_version"], verdict["thresholds"]) == (1, wanted["thresholds"])
    version = next(each for each in reply.json()["versions"] if each["version"] == 1)
    assert (version["thresholds_source"], version["defect_rate_source"]) == ("serving.json", "serving.json")
    reply = await admin.put("/v1/admin/models/widget/serving", json={})
    assert (reply.json()["serving"], reply.json()["pinned"]) == (2, None)


@pytest.mark.parametrize(
    ("model", "body", "status", "error", "reason"),
    [
        ("widget", b"", 400, "bad-serving", "the body can't be read"),
        ("widget", b'{"versoin": 1}', 400, "bad-serving", "unknown field `versoin`"),
        ("widget", b'{"version": 0}', 400, "bad-serving", "$.version"),
        ("widget", b'{"thresholds": {"label": 0.5}}', 400, "bad-serving", "required field `review`"),
        ("gizmo", b"{}", 404, "unknown-model", "gizmo"),
        ("..", b"{}", 404, "not-found", "Not Found"),
        ("%2e%2e", b"{}", 404, "unknown-model", "'..'"),
        ("widget", b'{"version": 9}', 409, "version-not-usable", "not in the store; there are: [1, 2]"),
        ("widget", b'{"version": 2}', 409, "version-not-usable", "golden/0.png"),
        ("widget", b'{"a": "' + 10_000 * b"b" + b'"}', 413, "body-too-large", "10,000"),
    ],
)
async def test_what_is_wrong_changes_nothing(
    admin: httpx.AsyncClient,
    store: Path,
    own_store: Path,
    model: str,
    body: bytes,
    status: int,
    error: str,
    reason: str,
) -> None:
    breaking(put(store, own_store, "widget", 2))
    url = httpx.URL("http://camspector", raw_path=f"/v1/admin/models/{model}/serving".encode())
    reply = await admin.put(url, content=body)
    assert (reply.status_code, reply.json()["error"]) == (status, error)
    assert reason in reply.json()["detail"]
    assert not (own_store / "widget" / "serving.json").exists()
    assert (await admin.get("/v1/models/widget")).json()["serving"] == 1


async def test_recipes_are_changed_in_one_step(admin: httpx.AsyncClient, store: Path, own_store: Path) -> None:
    """A version that they name and that is too old to be loaded is loaded before they are in force."""
    for version in (2, 3):
        put(store, own_store, "widget", version)
    await admin.post("/v1/admin/reload")
    wanted = {"7": {"model": "widget", "version": 1, "thresholds": 0.4}, "8": {"model": "widget"}}
    reply = await admin.put("/v1/admin/recipes", json=wanted)
    assert reply.status_code == 200
    assert reply.json() == (await admin.get("/v1/recipes")).json()
    assert [(each["number"], each["problem"]) for each in reply.json()["recipes"]] == [(7, None), (8, None)]
    assert json.loads((own_store / "recipes.json").read_text()) == wanted
    assert {path.name for path in own_store.iterdir()} == {"widget", "recipes.json"}
    verdict = (await admin.post("/predict", content=encoded(), headers={"X-Recipe": "7"})).json()
    assert (verdict["model_version"], verdict["thresholds"]["reject"]) == (1, 0.4)
    reply = await admin.put("/v1/admin/recipes", json={})
    assert (reply.status_code, reply.json()["recipes"]) == (200, [])
    assert (await admin.post("/predict", content=encoded(), headers={"X-Recipe": "7"})).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "error", "reason"),
    [
        (b"", 400, "bad-recipes", "the body can't be read"),
        (b"[]", 400, "bad-recipes", "Expected `object`"),
        (b'{"7": {"model": "widget", "versoin": 1}}', 400, "bad-recipes", "unknown field `versoin`"),
        (b'{"7": {"model": "widget"}, "7": {"model": "widget"}}', 400, "bad-recipes", "7 is there more than once"),
        (b'{"7": {"model": "gizmo"}, "8": {"model": "widget"}}', 409, "version-not-usable", "recipe 7: no model"),
        (b'{"7": {"model": "widget", "version": 9}}', 409, "version-not-usable", "recipe 7: model 'widget' has no"),
        (b'{"7": {"model": "widget", "version": 2}}', 409, "version-not-usable", "golden/0.png"),
        (b'{"7": {"model": "' + 1_000_000 * b"b" + b'"}}', 413, "body-too-large", "1,000,000"),
    ],
)
async def test_recipes_that_are_wrong_change_nothing(
    admin: httpx.AsyncClient, store: Path, own_store: Path, body: bytes, status: int, error: str, reason: str
) -> None:
    assert (await admin.put("/v1/admin/recipes", json={"1": {"model": "widget"}})).status_code == 200
    before = (own_store / "recipes.json").read_bytes()
    breaking(put(store, own_store, "widget", 2))
    reply = await admin.put("/v1/admin/recipes", content=body)
    assert (reply.status_code, reply.json()["error"]) == (status, error)
    assert reason in reply.json()["detail"]
    assert (own_store / "recipes.json").read_bytes() == before
    assert [each["number"] for each in (await admin.get("/v1/recipes")).json()["recipes"]] == [1]


async def test_recipes_in_a_store_that_cannot_be_written(admin: httpx.AsyncClient, own_store: Path) -> None:
    (own_store / "recipes.json").mkdir()
    reply = await admin.put("/v1/admin/recipes", json={"7": {"model": "widget"}})
    assert (reply.status_code, reply.json()["error"]) == (409, "store-not-usable")
    assert "recipes.json can't be changed: Is a directory" in reply.json()["detail"]
    listed = (await admin.get("/v1/recipes")).json()
    assert (listed["recipes"], "recipes.json" in listed["error"]) == ([], True)


async def test_store_that_cannot_be_written(admin: httpx.AsyncClient, own_store: Path) -> None:
    """As in the container, which mounts it read-only; permissions wouldn't bind tests that run as root."""
    (own_store / "widget" / "serving.json").mkdir()
    reply = await admin.put("/v1/admin/models/widget/serving", json={"version": 1})
    assert (reply.status_code, reply.json()["error"]) == (409, "store-not-usable")
    assert "widget/serving.json can't be changed: Is a directory" in reply.json()["detail"]


async def test_what_takes_too_long_goes_on(
    admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, store: Path, own_store: Path
) -> None:
    put(store, own_store, "widget", 2)
    monkeypatch.setattr("app.routes.admin.WAIT_SECONDS", 0.01)
    reply = await admin.post("/v1/admin/reload")
    assert (reply.status_code, reply.json()["error"]) == (504, "deadline-passed")
    monkeypatch.undo()
    await admin.post("/v1/admin/reload")
    assert (await admin.get("/v1/models/widget")).json()["serving"] == 2


async def test_a_bug_is_said_at_once_and_stops_nothing(
    admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("app.routes.admin.WAIT_SECONDS", 5.0)

    def broken(*_: object) -> list[str]:
        raise ZeroDivisionError("secret")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "model_folders", broken)
        for ask in (admin.post("/v1/admin/reload"), admin.put("/v1/admin/models/widget/serving", json={})):
            caplog.clear()
            reply = await ask
            assert (reply.status_code, reply.json()["error"]) == (500, "internal-error")
            assert "secret" not in reply.text
            assert [record.getMessage() for record in caplog.records if record.exc_info] == [
                f"request {reply.json()['request_id']} failed"
            ]
    assert (await admin.get("/livez")).status_code == 200
    assert (await admin.post("/v1/admin/reload")).json() == {"changed": []}
