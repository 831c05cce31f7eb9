"""Labels, and the audit of what is changed."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.application import create_app
from app.middleware.keys import Role, new_key
from app.settings import Settings
from tests.app.conftest import running, until
from tests.app.records.conftest import Recorder
from tests.support.artifacts import publish
from tests.support.images import encoded

pytestmark = pytest.mark.anyio


async def inspected(client: httpx.AsyncClient, **headers: str) -> str:
    reply = await client.post("/predict?heatmap=none", content=encoded(), headers=headers)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["inference_id"])


async def test_label_is_set_changed_and_taken_back(recorder: Recorder) -> None:
    inference_id = await inspected(recorder.client)
    address = f"/v1/inspections/{inference_id}"
    body = {"label": "scratch", "by": "Jürgen", "note": "under the lamp; 2 mm"}
    labelled = (await recorder.client.put(f"{address}/label", json=body)).json()
    assert labelled["labelled"].items() >= body.items()
    assert labelled == (await recorder.client.get(address)).json()
    for label, found in [("scratch", [inference_id]), ("good", [])]:
        page = (await recorder.client.get("/v1/inspections", params={"label": label})).json()
        assert [each["inference_id"] for each in page["inspections"]] == found
    assert (await recorder.client.put(f"{address}/label", json={"label": "good"})).json()["labelled"]["note"] is None
    assert (await recorder.client.put(f"{address}/label", json={"label": None})).json()["labelled"] is None
    page = (await recorder.client.get("/v1/inspections", params={"labelled": "true"})).json()
    assert page["inspections"] == []


@pytest.mark.parametrize(
    "body",
    [{}, {"label": ""}, {"label": "../up"}, {"label": ".x"}, {"label": "a b"}, {"label": "x" * 65}, {"label": 3},
     {"label": "good", "note": "\0"}, {"label": "good", "note": "x" * 1001}, {"lable": "good"}],
)  # fmt: skip
async def test_wrong_label_is_400_and_changes_nothing(recorder: Recorder, body: dict[str, Any]) -> None:
    inference_id = await inspected(recorder.client)
    reply = await recorder.client.put(f"/v1/inspections/{inference_id}/label", json=body)
    assert (reply.status_code, reply.json()["error"]) == (400, "bad-parameter")
    assert (await recorder.client.get(f"/v1/inspections/{inference_id}")).json()["labelled"] is None


async def test_label_of_nothing_is_404(recorder: Recorder) -> None:
    reply = await recorder.client.put(f"/v1/inspections/{'a' * 32}/label", json={"label": "good"})
    assert (reply.status_code, reply.json()["error"]) == (404, "unknown-inspection")


@pytest.fixture
async def keyed(anyio_backend: str, tmp_path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, dict[str, str]]]:
    """A service that needs keys, and a key of each role."""
    publish(tmp_path / "store", "widget")
    roles: list[Role] = ["predict", "label", "admin"]
    keys = {role: new_key(role, f"{role}-1") for role in roles}
    (tmp_path / "keys").write_text("".join(f"{key.line}\n" for _, key in keys.values()))
    settings = Settings(
        store=tmp_path / "store",
        device="cpu",
        deadline_ms=60_000,
        records=str(tmp_path / "records"),
        keys_file=tmp_path / "keys",
    )
    app = create_app(settings)
    async with running(app) as client:
        await until(lambda: not app.state.service.unready())
        yield client, {role: secret for role, (secret, _) in keys.items()}


async def test_roles_and_audit(keyed: tuple[httpx.AsyncClient, dict[str, str]], tmp_path: Path) -> None:
    """Who labels, who changes what serves, and which keys there are: all in the audit."""
    client, secrets = keyed
    by = {role: {"X-API-Key": secret} for role, secret in secrets.items()}
    inference_id = await inspected(client, **by["predict"])
    address = f"/v1/inspections/{inference_id}"
    assert (await client.get(address, headers=by["predict"])).json()["key"] == "predict-1"
    refused = await client.put(f"{address}/label", json={"label": "good"}, headers=by["predict"])
    assert (refused.status_code, refused.json()["error"]) == (403, "key-not-allowed")
    labelled = await client.put(f"{address}/label", json={"label": "crack"}, headers=by["label"])
    assert labelled.json()["labelled"]["by"] == "label-1"
    assert (await client.put(f"{address}/label", json={"label": "dent"}, headers=by["admin"])).status_code == 200
    changed = await client.put("/v1/admin/models/widget/serving", json={"thresholds": 0.7}, headers=by["admin"])
    assert (changed.status_code, changed.headers["x-camspector-recorded"]) == (200, "true")
    audit = (await client.get("/v1/admin/audit", headers=by["admin"])).json()
    assert (await client.get("/v1/admin/audit", headers=by["label"])).status_code == 403
    assert audit["next"] is None
    rows = [(row["what"], row["subject"], row["by"]) for row in audit["changes"]]
    assert rows == [
        ("serving", "widget", "admin-1"),
        ("label", inference_id, "admin-1"),
        ("label", inference_id, "label-1"),
        *rows[3:],
    ]
    keys = str(tmp_path / "keys")
    assert sorted(rows[3:]) == [
        ("keys", keys, keys),
        ("recipes", "recipes.json", "recipes.json"),
        ("serving", "widget", "serving.json"),
    ]
    assert [audit["changes"][0][member] for member in ("before", "after")] == ["{}", '{"thresholds":0.7}']
    assert '"crack"' in audit["changes"][1]["before"]
    assert audit["changes"][2]["before"] is None
    page = (await client.get("/v1/admin/audit?limit=2", headers=by["admin"])).json()
    rest = (await client.get(f"/v1/admin/audit?cursor={page['next']}", headers=by["admin"])).json()
    assert page["changes"] + rest["changes"] == audit["changes"]
    assert not any(secret in str(audit) for secret in secrets.values())


async def test_a_reload_is_answered_when_the_file_that_changed_is_in_the_audit(
    keyed: tuple[httpx.AsyncClient, dict[str, str]], tmp_path: Path
) -> None:
    client, secrets = keyed
    admin = {"X-API-Key": secrets["admin"]}
    for number in range(5):
        (tmp_path / "store" / "widget" / "serving.json").write_text(f'{{"thresholds": 0.{number + 1}}}')
        reloaded = await client.post("/v1/admin/reload", headers=admin)
        assert (reloaded.status_code, reloaded.headers["x-camspector-recorded"]) == (200, "true")
        newest = (await client.get("/v1/admin/audit?limit=1", headers=admin)).json()["changes"][0]
        assert (newest["by"], newest["after"]) == ("serving.json", f'{{"thresholds":0.{number + 1}}}')


async def test_recipes_are_in_the_audit_by_call_and_by_file(
    keyed: tuple[httpx.AsyncClient, dict[str, str]], tmp_path: Path
) -> None:
    client, secrets = keyed
    admin = {"X-API-Key": secrets["admin"]}
    changed = await client.put("/v1/admin/recipes", json={"7": {"model": "widget"}}, headers=admin)
    assert (changed.status_code, changed.headers["x-camspector-recorded"]) == (200, "true")
    refused = await client.put("/v1/admin/recipes", json={}, headers={"X-API-Key": secrets["label"]})
    assert (refused.status_code, refused.json()["error"]) == (403, "key-not-allowed")
    (tmp_path / "store" / "recipes.json").write_text("{}")
    await client.post("/v1/admin/reload", headers=admin)
    audit = (await client.get("/v1/admin/audit?limit=2", headers=admin)).json()["changes"]
    assert [(row["what"], row["subject"], row["by"], row["before"], row["after"]) for row in audit] == [
        ("recipes", "recipes.json", "recipes.json", '{"7":{"model":"widget"}}', "{}"),
        ("recipes", "recipes.json", "admin-1", "{}", '{"7":{"model":"widget"}}'),
    ]


async def test_audit_can_only_grow(recorder: Recorder) -> None:
    """The database itself refuses."""
    inference_id = await inspected(recorder.client)
    await recorder.client.put(f"/v1/inspections/{inference_id}/label", json={"label": "good"})
    for change in ("UPDATE audit SET by = 'nobody'", "DELETE FROM audit"):
        with (
            pytest.raises(SQLAlchemyError, match="append-only"),
            recorder.records._engine.begin() as connection,
        ):
            connection.execute(text(change))


async def test_a_change_that_was_made_while_the_service_was_down_is_in_the_audit(tmp_path: Path) -> None:
    publish(tmp_path / "store", "widget")
    settings = Settings(store=tmp_path / "store", device="cpu", records=str(tmp_path / "records"))
    afters = []
    for content in (None, '{"defect_rate": 0.1}', None, '{"defect_rate": 0.1}'):
        if content:
            (tmp_path / "store" / "widget" / "serving.json").write_text(content)
        app = create_app(settings)
        async with running(app):
            await until(lambda app=app: not app.state.service.unready())
        async with running(create_app(settings)) as _:
            pass
        app = create_app(settings)
        async with running(app):
            await until(lambda app=app: not app.state.service.records._writer.error)
            rows = await app.state.service.records.audited(10, None)
            afters = [change.after for _, change in rows if change.what == "serving"]
    assert afters == ['{"defect_rate":0.1}', "{}"]
