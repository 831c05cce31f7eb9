"""Every upload that can't be inspected gets its 4xx with its `error`, and the service goes on answering."""

import base64
import gzip
import io
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from app.addresses import PROBES
from tests.support.images import animation, encoded, png_bomb

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
    ("another field", 400, "missing-field", form("part")),
    ("a form without fields", 400, "missing-field", typed(b"--b--\r\n", MULTIPART)),
    ("two files", 400, "malformed-body", form("file", "file")),
    ("a hundred fields too many", 400, "malformed-body", form(*["x"] * 200)),
    ("multipart without a boundary", 400, "malformed-body", typed(b"--b--\r\n", "multipart/form-data")),
    ("multipart that isn't", 400, "malformed-body", typed(b"hello", MULTIPART)),
    ("multipart cut short", 400, "malformed-body", typed(
        b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + encoded()[:500], MULTIPART)),
    ("form with the heatmap in it", 400, "malformed-body", {"data": {"heatmap": "none"}, **form("file")}),
    ("part whose headers have no end", 400, "malformed-body", typed(b"--b\r\nA: b\r\n--b--", MULTIPART)),
    ("part with a line that is no header", 400, "malformed-body", typed(b"--b\r\nab\r\n\r\n1\r\n--b--", MULTIPART)),
    ("part with endless headers", 400, "malformed-body", typed(
        b"--b\r\nA: " + b"b" * 20_000 + b"\r\n\r\n1\r\n--b--", MULTIPART)),
    ("part in quoted-printable", 400, "malformed-body", typed(
        b"--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n1\r\n--b--", MULTIPART)),
    ("a boundary everywhere", 400, "malformed-body", typed(b"--bx" * 10_000, MULTIPART)),
    ("JSON that isn't", 400, "malformed-body", typed(b'{"image": ', "application/json")),
    ("JSON that isn't UTF-8", 400, "malformed-body", typed(b'{"image": "\xff"}', "application/json")),
    ("JSON of another form", 400, "missing-field", {"json": {"part": 1}}),
    ("JSON without b64", 400, "missing-field", {"json": {"image": {}}}),
    ("JSON list", 400, "malformed-body", {"json": [1]}),
    ("JSON number as image", 400, "malformed-body", {"json": {"image": 5}}),
    ("JSON of a million objects", 400, "malformed-body", {"json": {"image": [{}] * 1_000_000}}),
    ("JSON of a million lists", 400, "malformed-body", {"json": {"image": [[]] * 1_000_000}}),
    ("JSON nested deeply", 400, "malformed-body", {"content": b'{"image": ' + b"[" * 900}),
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


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("iVBORw0KGgo_-w==", "URL-safe base64"),
        ("data:image/png,iVBOR", "data: URL isn't in base64"),
        ("YQ==YQ==", "[Pp]adding"),
        ("A" * 262_142 + "==AAAA", "behind its padding"),
    ],
)
async def test_base64_that_is_none_is_named(client: httpx.AsyncClient, text: str, reason: str) -> None:
    reply = await client.post("/predict", **base64_image(text))
    assert (reply.status_code, reply.json()["error"]) == (400, "malformed-body")
    assert re.search(reason, reply.json()["detail"])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("path", ["/predict", "/v2/models/widget/infer"])
async def test_json_in_utf16_is_named(client: httpx.AsyncClient, path: str, encoding: str) -> None:
    reply = await client.post(path, content='{"image": {"b64": "aGVsbG8="}}'.encode(encoding))
    assert reply.status_code == 400
    assert "it is in UTF-16 or UTF-32" in reply.json()["detail"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"image": {"b64": "aGVsbG8="}, "heatmap": "none"}, "'heatmap'"),
        ({"image": {"b64": "aGVsbG8=", "threshold": 0.5}}, "'threshold'"),
        ({"image": {"b64": "aGVsbG8="}, "x" * 5000: 1}, "'" + "x" * 40 + "'"),
    ],
)
async def test_member_that_means_nothing_is_named(client: httpx.AsyncClient, body: dict[str, Any], named: str) -> None:
    reply = await client.post("/predict", json=body)
    assert (reply.status_code, reply.json()["error"]) == (400, "malformed-body")
    assert f"has the member {named}" in reply.json()["detail"]


@pytest.mark.parametrize("form_", ["PNG", "JPEG"])
async def test_what_curls_d_does_to_a_file_is_said(client: httpx.AsyncClient, form_: str) -> None:
    body = encoded(form_, size=400).translate(None, b"\r\n\0")
    reply = await client.post("/predict", **typed(body, "application/x-www-form-urlencoded"))
    assert reply.status_code in (415, 422)
    assert "--data-binary" in reply.json()["detail"]
    assert "--data-binary" not in (await client.post("/predict", content=body)).json()["detail"]


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "aws-chunked", "x" * 500])
async def test_encoding_that_is_not_taken_is_named(client: httpx.AsyncClient, encoding: str) -> None:
    headers = {"Content-Encoding": encoding}
    reply = await client.post("/predict", content=encoded(), headers=headers)
    assert (reply.status_code, reply.json()["error"]) == (415, "unsupported-encoding")
    assert "Content-Encoding" in reply.json()["detail"]
    assert "gzip, deflate, identity" in reply.json()["detail"]
    assert reply.headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (encoded(), "malformed-body"),
        (gzip.compress(encoded())[:-9], "malformed-body"),
        (gzip.compress(bytes(10**8)), "body-too-large"),
    ],
)
async def test_gzip_that_is_none(client: httpx.AsyncClient, body: bytes, error: str) -> None:
    reply = await client.post("/predict", content=body, headers={"Content-Encoding": "gzip"})
    assert reply.json()["error"] == error


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/predict?heatmaps=none", "query.heatmaps: no such parameter of this address; there are: heatmap, regions"),
        ("/v1/models/widget/predict?threshold=0.5", "query.threshold: "),
        ("/v1/models/widget/versions/1/predict?heatmap=none&Regions=false", "query.Regions: "),
        ("/predict?heatmap=none&heatmap=gray", "query.heatmap: is there more than once"),
        ("/v2/models/widget/infer?heatmap=none", "query.heatmap: no such parameter of this address; there are none"),
        ("/v1/admin/reload?force=1", "query.force: "),
    ],
)
async def test_parameter_that_would_be_ignored(client: httpx.AsyncClient, path: str, named: str) -> None:
    reply = await client.post(path, content=encoded())
    assert reply.status_code == 400
    assert reply.json()["type"] == "urn:camspector:error:bad-parameter"
    assert named in reply.json()["detail"]


async def test_no_route_ignores_a_parameter(client: httpx.AsyncClient) -> None:
    """Also routes that are added later; but a health check may add what it likes."""
    paths = (await client.get("/openapi.json")).json()["paths"]
    for path, operations in paths.items():
        for method in operations:
            reply = await client.request(method, path, params={"heatmaps": "none"})
            assert (reply.status_code == 400) == (path not in PROBES), path


async def test_header_that_is_there_twice(client: httpx.AsyncClient) -> None:
    headers = [("X-Deadline-Ms", "50000"), ("X-Deadline-Ms", "10")]
    reply = await client.post("/predict", content=encoded(), headers=headers)
    assert (reply.status_code, reply.json()["error"]) == (400, "bad-parameter")
    assert "X-Deadline-Ms: is there more than once" in reply.json()["detail"]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ([b"part 4711"], "a space as %20"),
        (["Prüfling".encode()], "percent-encoded in UTF-8"),
        (["Prüfling".encode("latin-1")], "percent-encoded in UTF-8"),
        ([b""], "1 to 128"),
        ([b"x" * 129], "1 to 128"),
        ([b"a\tb"], "without spaces"),
        ([b"%FF"], "not in UTF-8"),
        ([b"a%0Astatus=200"], "no control characters"),
        ([b"a", b"b"], "more than once"),
    ],
)
async def test_part_without_a_valid_id_is_not_inspected(
    client: httpx.AsyncClient, sent: list[bytes], reason: str
) -> None:
    reply = await client.post("/predict", content=encoded(), headers=[(b"X-Part-ID", value) for value in sent])
    assert (reply.status_code, reply.json()["error"]) == (400, "bad-parameter")
    assert "header.X-Part-ID: " in reply.json()["detail"]
    assert reason in reply.json()["detail"]
    assert "x-part-id" not in reply.headers


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
