"""Who is let in: keys, hosts, pages of other origins; and what stays open."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.addresses import DOCS, PAGE, PROBES, PUBLIC
from app.application import create_app
from app.middleware.keys import new_key
from app.settings import Settings
from tests.app.conftest import running
from tests.support.images import encoded

pytestmark = pytest.mark.anyio

PREDICT, PREDICT_KEY = new_key("predict", "line-3")
ADMIN, ADMIN_KEY = new_key("admin", "office")


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "keys").write_text(f"{PREDICT_KEY.line}\n{ADMIN_KEY.line}\n")
    (tmp_path / "store").mkdir()
    return {"store": tmp_path / "store", "device": "cpu", "keys_file": tmp_path / "keys"}


@pytest.fixture
async def guarded(anyio_backend: str, settings: dict[str, Any]) -> AsyncIterator[httpx.AsyncClient]:
    """A service with keys and an empty store: who is let in gets 503."""
    async with running(create_app(Settings(**settings))) as client:
        yield client


def refusal(reply: httpx.Response) -> tuple[int, str]:
    assert reply.headers["content-type"] == "application/problem+json"
    return reply.status_code, reply.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {PREDICT}"},
        {"Authorization": f"bearer  {PREDICT}"},
        {"X-API-Key": PREDICT},
        {"X-API-Key": ADMIN},
        {"Authorization": "Basic dXNlcjpwYXNz", "X-API-Key": PREDICT},
    ],
)
async def test_a_key_lets_in(guarded: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert refusal(await guarded.post("/predict", content=encoded(), headers=headers)) == (503, "not-ready")
    assert (await guarded.get("/v1/models", headers=headers)).json() == {"models": []}


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({}, "key-missing"),
        ({"X-API-Key": ""}, "key-missing"),
        ({"Authorization": "Bearer "}, "key-missing"),
        ({"Authorization": PREDICT}, "key-missing"),
        ({"Authorization": f"Basic {PREDICT}"}, "key-missing"),
        ({"Authorization": f"Bearer {PREDICT}x"}, "key-unknown"),
        ({"X-API-Key": PREDICT_KEY.digest}, "key-unknown"),
        ({"Authorization": f"Bearer {PREDICT[:-1]}", "X-API-Key": PREDICT}, "key-unknown"),
    ],
)
async def test_without_a_key_nobody_gets_in(guarded: httpx.AsyncClient, headers: dict[str, str], error: str) -> None:
    for path in ("/predict", "/v1/models/a/predict", "/v1/admin/reload", "/v2/models/a/infer"):
        reply = await guarded.post(path, content=encoded(), headers=headers)
        assert reply.status_code == 401
        assert reply.json()["type"] == f"urn:camspector:error:{error}"
        assert reply.headers["www-authenticate"] == "Bearer"
        assert PREDICT[:-1] not in reply.text
    metrics = (await guarded.get("/metrics")).text
    assert f'camspector_requests_rejected_total{{reason="{error}"}} 4.0' in metrics
    assert 'camspector_http_requests_total{method="POST",route="unknown",status="401"} 4.0' in metrics


async def test_the_log_names_the_key_and_never_shows_it(
    guarded: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await guarded.get("/v1/models", headers={"X-API-Key": PREDICT})
    await guarded.get("/v1/models", headers={"Authorization": f"Bearer {PREDICT}x"})
    first, second = [record for record in caplog.messages if "route=" in record][-2:]
    assert "key=line-3" in first
    assert "error=key-unknown" in second
    assert "key=" not in second
    assert PREDICT not in caplog.text


async def test_every_route_needs_a_key_but_those_that_are_named(guarded: httpx.AsyncClient) -> None:
    """Also routes that are added later."""
    paths = (await guarded.get("/openapi.json")).json()["paths"]
    assert len(paths) >= 20
    for path, operations in paths.items():
        for method, operation in operations.items():
            reply = await guarded.request(method, path)
            assert (reply.status_code == 401) == (path not in PUBLIC), path
            assert ("401" in operation["responses"]) == ("security" in operation) == (path not in PUBLIC), path
            assert ("400" in operation["responses"]) or path in PROBES, path
    assert {path for path in paths if path in PUBLIC} == PUBLIC - DOCS - PAGE - {"/openapi.json"}


async def test_the_page_of_the_interface_needs_no_key(guarded: httpx.AsyncClient) -> None:
    for path in DOCS:
        assert (await guarded.get(path)).status_code == 200


@pytest.mark.parametrize("path", ["/livez/", "//livez", "/livez/../v1/models", "/nowhere", "/docs/", "/docs/README.md"])
async def test_what_looks_like_an_open_address_is_none(guarded: httpx.AsyncClient, path: str) -> None:
    reply = await guarded.get(httpx.URL("http://camspector", raw_path=path.encode()))
    assert refusal(reply) == (401, "key-missing")


async def test_refusal_comes_before_the_body_is_read(settings: dict[str, Any]) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"begun"
        raise AssertionError("read on")

    app = create_app(Settings(**settings))
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        assert sent
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/predict", "query_string": b"", "headers": []}
    scope |= {"headers": [(b"transfer-encoding", b"chunked")], "scheme": "http", "server": ("camspector", 80)}
    await app(scope, receive, send)
    assert sent[0]["status"] == 401


async def test_root_path_changes_nothing(settings: dict[str, Any]) -> None:
    """uvicorn puts it before every path."""
    app = create_app(Settings(**settings))
    transport = httpx.ASGITransport(app, root_path="/inspection")
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        assert (await client.get("/inspection/livez")).status_code == 200
        assert refusal(await client.get("/inspection/v1/models")) == (401, "key-missing")
        assert (await client.get("/inspection/v1/models", headers={"X-API-Key": PREDICT})).status_code == 200


@pytest.mark.parametrize("path", ["/v1/admin/reload", "/v1/admin/models/a/serving"])
async def test_admin_needs_its_role(guarded: httpx.AsyncClient, path: str) -> None:
    method = "POST" if path.endswith("reload") else "PUT"
    reply = await guarded.request(method, path, headers={"X-API-Key": PREDICT}, content=b"nonsense")
    assert refusal(reply) == (403, "key-not-allowed")
    assert "the key 'line-3' has the role predict" in reply.json()["detail"]


async def test_without_keys_there_is_no_admin(client: httpx.AsyncClient) -> None:
    assert refusal(await client.post("/v1/admin/reload", headers={"X-API-Key": ADMIN})) == (403, "admin-needs-keys")
    reply = await client.put("/v1/admin/models/widget/serving", content=b"{}")
    assert refusal(reply) == (403, "admin-needs-keys")


HOSTS = "inspect.example, *.line.example, 10.0.0.7,[::1]"


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("inspect.example", True),
        ("INSPECT.example:8000", True),
        ("a.b.line.example", True),
        ("10.0.0.7:8000", True),
        ("[::1]:8000", True),
        ("[::1]", True),
        ("line.example", False),
        ("evil-inspect.example", False),
        ("inspect.example.evil.example", False),
        ("", False),
        ("10.0.0.70", False),
    ],
)
async def test_hosts(tmp_path: Path, host: str, allowed: bool) -> None:
    async with running(create_app(Settings(store=tmp_path, device="cpu", allowed_hosts=HOSTS))) as client:
        for path in ("/v1/models", "/", "/docs"):
            reply = await client.get(path, headers={"Host": host})
            assert reply.status_code == 200 if allowed else refusal(reply) == (400, "unknown-host")
        assert (await client.get("/livez", headers={"Host": host})).status_code == 200


async def test_any_host_by_default(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/models", headers={"Host": "anything.example"})).status_code == 200


ORIGIN = "https://line.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-part-id"}


async def test_no_page_of_another_origin_may_ask_by_default(client: httpx.AsyncClient) -> None:
    reply = await client.options("/predict", headers={"Origin": ORIGIN, **PREFLIGHT})
    assert refusal(reply) == (405, "method-not-allowed")
    reply = await client.get("/v1/models", headers={"Origin": ORIGIN})
    assert not [name for name in reply.headers if name.startswith("access-control")]


async def test_pages_of_named_origins_may_ask(settings: dict[str, Any]) -> None:
    """Their preflights have no key, and they can read that theirs is missing."""
    async with running(create_app(Settings(**settings, cors_origins=f"http://other.example, {ORIGIN}"))) as client:
        reply = await client.options("/predict", headers={"Origin": ORIGIN, **PREFLIGHT})
        assert reply.status_code == 200
        assert reply.headers["access-control-allow-origin"] == ORIGIN
        assert "authorization" in reply.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in reply.headers
        reply = await client.post("/predict", headers={"Origin": ORIGIN})
        assert refusal(reply) == (401, "key-missing")
        assert reply.headers["access-control-allow-origin"] == ORIGIN
        reply = await client.post("/predict", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in reply.headers
        reply = await client.options("/predict", headers={"Origin": "https://evil.example", **PREFLIGHT})
        assert reply.status_code == 400
