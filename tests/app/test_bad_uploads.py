"""Every upload that can't be judged gets its 4xx with its `error`, and the service goes on answering."""

import base64
import io
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.pictures import animation, encoded, png_bomb

pytestmark = pytest.mark.anyio

FIFTY_MEGABYTES = bytes(50_000_000)
MULTIPART = "multipart/form-data; boundary=b"


async def in_pieces(data: bytes) -> AsyncIterator[bytes]:
    """Sent chunked: without a Content-Length."""
    for start in range(0, len(data), 65536):
        yield data[start : start + 65536]


def too_bright() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((64, 64), 60_000, np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


def typed(content: bytes, content_type: str) -> dict[str, Any]:
    return {"content": content, "headers": {"Content-Type": content_type}}


def base64_image(text: str) -> dict[str, Any]:
    return {"json": {"image": {"b64": text}}}


def form(*names: str) -> dict[str, Any]:
    return {"files": [(name, ("part.png", encoded())) for name in names]}


CASES: list[tuple[str, int, str, dict[str, Any]]] = [
    ("empty body", 400, "empty-image", {}),
    ("empty body said to be JSON", 400, "malformed-body", typed(b"", "application/json")),
    ("empty file", 400, "empty-image", {"files": {"file": b""}}),
    ("empty base64", 400, "empty-image", base64_image("")),
    ("another field", 400, "missing-field", form("photo")),
    ("a form without fields", 400, "missing-field", typed(b"--b--\r\n", MULTIPART)),
    ("two files", 400, "malformed-body", form("file", "file")),
    ("a hundred fields too many", 400, "malformed-body", form(*["x"] * 200)),
    ("multipart without a boundary", 400, "malformed-body", typed(b"--b--\r\n", "multipart/form-data")),
    ("multipart that isn't", 400, "malformed-body", typed(b"hello", MULTIPART)),
    ("multipart cut short", 400, "malformed-body", typed(
        b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + encoded()[:500], MULTIPART)),
    ("JSON that isn't", 400, "malformed-body", typed(b'{"image": ', "application/json")),
    ("JSON that isn't UTF-8", 400, "malformed-body", typed(b'{"image": "\xff"}', "application/json")),
    ("JSON of another form", 400, "missing-field", {"json": {"picture": 1}}),
    ("JSON without b64", 400, "missing-field", {"json": {"image": {}}}),
    ("JSON list", 400, "malformed-body", {"json": [1]}),
    ("JSON number as b64", 400, "malformed-body", {"json": {"image": {"b64": 5}}}),
    ("broken base64", 400, "malformed-body", base64_image("iVBOR!!!")),
    ("base64 cut short", 400, "malformed-body", base64_image("iVBOR")),
    ("base64 with umlauts", 400, "malformed-body", base64_image("äöü")),
    ("base64 of text", 415, "unsupported-format", base64_image(base64.b64encode(b"hello").decode())),
    ("text", 415, "unsupported-format", {"content": b"hello"}),
    ("text as a file", 415, "unsupported-format", {"files": {"file": b"hello"}}),
    ("text said to be a PNG", 415, "unsupported-format", typed(b"hello", "image/png")),
    ("animated GIF", 415, "unsupported-format", {"content": animation("GIF")}),
    ("animated WebP", 422, "multiple-frames", {"content": animation("WEBP")}),
    ("truncated JPEG", 422, "undecodable-image", {"content": encoded("JPEG")[:900]}),
    ("truncated PNG", 422, "undecodable-image", {"files": {"file": encoded()[:-300]}}),
    ("PNG's first bytes alone", 422, "undecodable-image", {"content": encoded()[:8]}),
    ("16-bit gray beyond the full scale", 422, "brightness-beyond-scale", {"content": too_bright()}),
    ("20000² PNG of 100 kB", 413, "image-too-large", {"content": png_bomb()}),
    ("50 MB with Content-Length", 413, "body-too-large", {"content": FIFTY_MEGABYTES}),
    ("50 MB without Content-Length", 413, "body-too-large", {"content": FIFTY_MEGABYTES}),
    ("50 MB form", 413, "body-too-large", {"files": {"file": FIFTY_MEGABYTES}}),
]  # fmt: skip


@pytest.mark.parametrize(("status", "error", "request_"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
async def test_bad_upload(
    client: httpx.AsyncClient, status: int, error: str, request_: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    if "without Content-Length" in request.node.name:
        request_ = {"content": in_pieces(request_["content"])}
    reply = await client.post("/predict", **request_)
    assert (reply.status_code, reply.json()["error"]) == (status, error)
    assert_problem(reply)
    assert (await client.post("/predict", content=encoded())).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("POST", "/v1/models/nothing/predict", 404, "unknown-model"),
        ("POST", "/v1/models/No Name!/predict", 404, "unknown-model"),
        ("POST", "/v1/models/../predict", 404, "not-found"),
        ("GET", "/v1/models/nothing", 404, "unknown-model"),
        ("POST", "/v1/models/widget/versions/9/predict", 404, "unknown-version"),
        ("POST", "/v1/models/nothing/versions/1/predict", 404, "unknown-model"),
        ("POST", "/v1/models/widget/versions/latest/predict", 400, "bad-parameter"),
        ("POST", "/v1/models/widget/versions/0/predict", 400, "bad-parameter"),
        ("POST", "/v1/models/widget/versions/01/predict", 400, "bad-parameter"),
        ("POST", "/v1/models/widget/versions/+1/predict", 400, "bad-parameter"),
        ("POST", "/v1/models/widget/versions/1.0/predict", 400, "bad-parameter"),
        ("POST", "/v1/models/widget/versions/1_0/predict", 400, "bad-parameter"),
        ("POST", "/v1/models/widget/versions/%201/predict", 400, "bad-parameter"),
        ("POST", "/v1/models/widget/versions/1%0A/predict", 400, "bad-parameter"),
        ("POST", "/v1/models/widget/versions/%D9%A1/predict", 400, "bad-parameter"),
        ("POST", f"/v1/models/widget/versions/{'9' * 5000}/predict", 400, "bad-parameter"),
        ("POST", "/predict/", 404, "not-found"),
        ("POST", "/predict?heatmap=rainbow", 400, "bad-parameter"),
        ("POST", "/predict?regions=some", 400, "bad-parameter"),
        ("GET", "/predict", 405, "method-not-allowed"),
        ("PUT", "/v1/models/widget/predict", 405, "method-not-allowed"),
        ("DELETE", "/v1/models", 405, "method-not-allowed"),
        ("POST", "/nowhere", 404, "not-found"),
    ],
)
async def test_bad_address(client: httpx.AsyncClient, method: str, path: str, status: int, error: str) -> None:
    reply = await client.request(method, path, content=encoded() if method == "POST" else None)
    assert (reply.status_code, reply.json()["error"]) == (status, error)
    assert_problem(reply)
    assert (await client.post("/predict", content=encoded())).status_code == 200


@pytest.mark.parametrize("deadline", ["0", "-5", "soon", "1e3", "60001", "9" * 5000, "010", "+10", "10.0", "1_000"])
async def test_bad_deadline(client: httpx.AsyncClient, deadline: str) -> None:
    reply = await client.post("/predict", content=encoded(), headers={"X-Deadline-Ms": deadline})
    assert (reply.status_code, reply.json()["error"]) == (400, "bad-parameter")
    assert "X-Deadline-Ms" in reply.json()["detail"]


@pytest.mark.parametrize("text", ["aGVs\nbG8=", "data:image/png;base64,aGVsbG8="])
async def test_base64_with_more_around_it(client: httpx.AsyncClient, text: str) -> None:
    reply = await client.post("/predict", **base64_image(text))
    assert "without line breaks or a data: prefix" in reply.json()["detail"]


async def test_list_of_fields_is_cut_short(client: httpx.AsyncClient) -> None:
    reply = await client.post("/predict", **form(*["x" * 3000] * 60))
    assert reply.json()["error"] == "missing-field"
    assert reply.json()["detail"].count("x" * 40) == 10
    assert len(reply.json()["detail"]) < 600


async def test_unknown_model_names_the_others(client: httpx.AsyncClient) -> None:
    assert "gadget, widget" in (await client.post("/v1/models/nothing/predict")).json()["detail"]


def assert_problem(reply: httpx.Response) -> None:
    body = reply.json()
    assert reply.headers["content-type"] == "application/problem+json"
    assert body.keys() == {"type", "title", "status", "detail", "error", "request_id"}
    assert body["status"] == reply.status_code
    assert body["request_id"] == reply.headers["x-request-id"]
    assert body["detail"]
