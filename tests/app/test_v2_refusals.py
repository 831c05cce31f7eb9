"""Open Inference Protocol v2: what is refused, and by which name."""

import gzip
import json
from typing import Any

import httpx
import pytest

from tests.app.test_bad_uploads import too_bright
from tests.app.v2_messages import INFER, SIDE, SOUND, assert_problem, binary, image, pixels, request, sized, strings
from tests.support.images import animation, png_bomb

pytestmark = pytest.mark.anyio


def typed(content: bytes, **headers: str) -> dict[str, Any]:
    return {"content": content, "headers": {name.replace("_", "-"): value for name, value in headers.items()}}


DATA = strings(SOUND)
JUST_JSON = json.dumps(request(image(SOUND))).encode()
CASES: list[tuple[str, int, str, dict[str, Any]]] = [
    # the JSON
    ("empty body", 400, "malformed-body", {}),
    ("JSON that isn't", 400, "malformed-body", {"content": b'{"inputs": ['}),
    ("JSON that isn't UTF-8", 400, "malformed-body", {"content": b'{"inputs": "\xff"}'}),
    ("JSON list", 400, "malformed-body", {"json": [1]}),
    ("JSON nested deeply", 400, "malformed-body", {"content": b'{"inputs": ' + b"[" * 100_000}),
    ("data nested deeply", 400, "malformed-body", {
        "content": b'{"inputs": [{"name":"image","shape":[1],"datatype":"BYTES","data": ' + b"[" * 100_000}),
    ("an image", 400, "malformed-body", {"content": SOUND}),
    ("a form", 400, "malformed-body", {"files": {"file": SOUND}}),
    ("no inputs member", 400, "missing-field", {"json": {"outputs": []}}),
    ("input without a shape", 400, "missing-field", {"json": request({"name": "image", "datatype": "BYTES"})}),
    ("shape of text", 400, "malformed-body", {"json": request(image(SOUND, shape=["1"]))}),
    ("negative shape", 400, "malformed-body", {"json": request(image(SOUND, shape=[-1]))}),
    ("parameter of no number", 400, "malformed-body", {
        "content": json.dumps(request(image(SOUND), parameters={"a": 1})).replace("1}", "1e999}").encode()}),
    # inputs and outputs
    ("no input", 400, "bad-tensor", {"json": request()}),
    ("two inputs", 400, "bad-tensor", {"json": request(image(SOUND), pixels())}),
    ("unknown input", 400, "bad-tensor", {"json": request(image(SOUND, name="part"))}),
    ("wrong datatype", 400, "bad-tensor", {"json": request(image(SOUND, datatype="UINT8"))}),
    ("image with two columns", 400, "bad-tensor", {"json": request(image(SOUND, SOUND, shape=[1, 2]))}),
    ("image with three axes", 400, "bad-tensor", {"json": request(image(SOUND, shape=[1, 1, 1]))}),
    ("a million inputs", 400, "malformed-body", {"content": b'{"inputs": [' + b'{},' * 1_000_000 + b"{}]}"}),
    ("a million outputs", 400, "malformed-body", {"json": request(image(SOUND), outputs=["label"] * 1_000_000)}),
    ("a million axes", 400, "malformed-body", {"json": request(image(SOUND, shape=[1] * 1_000_000))}),
    ("a million parameters", 400, "malformed-body", {
        "json": request(image(SOUND), parameters={str(number): 1 for number in range(1_000_000)})}),
    ("pixels of another size", 400, "bad-tensor", {"json": request(pixels(shape=[1, 32, 32, 3]))}),
    ("pixels, channels first", 400, "bad-tensor", {"json": request(pixels(shape=[1, 3, SIDE, SIDE]))}),
    ("no axes", 400, "bad-tensor", {"json": request(image(SOUND, shape=[]))}),
    ("no image", 400, "bad-tensor", {"json": request(image())}),
    ("fewer images than said", 400, "bad-tensor", {"json": request(image(SOUND, shape=[2]))}),
    ("more images than said", 400, "bad-tensor", {"json": request(image(SOUND, SOUND, shape=[1]))}),
    ("fewer pixels than said", 400, "bad-tensor", {"json": request(pixels(shape=[2, SIDE, SIDE, 3]))}),
    ("pixel of 256", 400, "bad-tensor", {"json": request(pixels(data=[256] * SIDE * SIDE * 3))}),
    ("pixel of −1", 400, "bad-tensor", {"json": request(pixels(data=[-1] * SIDE * SIDE * 3))}),
    ("pixel of 0.5", 400, "bad-tensor", {"json": request(pixels(data=[0.5] * SIDE * SIDE * 3))}),
    ("pixels null", 400, "bad-tensor", {"json": request(pixels(data=None))}),
    ("pixels of nothing", 400, "bad-tensor", {"json": request(pixels(data=[[], []]))}),
    ("pixels of truth values", 400, "bad-tensor", {"json": request(pixels(data=[True] * SIDE * SIDE * 3))}),
    ("pixels as text", 400, "bad-tensor", {"json": request(pixels(data="AAAA"))}),
    ("pixels as an object", 400, "bad-tensor", {"json": request(pixels(data={"a": 1}))}),
    ("image without data", 400, "bad-tensor", {"json": request({"name": "image", "shape": [1], "datatype": "BYTES"})}),
    ("image null", 400, "bad-tensor", {"json": request(image(SOUND, data=None))}),
    ("broken base64", 400, "bad-tensor", {"json": request(image(SOUND, data=["iVBOR!!!"]))}),
    ("image as a number", 400, "bad-tensor", {"json": request(image(SOUND, data=[5]))}),
    ("nine images", 400, "batch-too-large", {"json": request(image(*[SOUND] * 9))}),
    ("a batch of 10¹⁸", 400, "batch-too-large", {"json": request(image(SOUND, shape=[10**18]))}),
    ("unknown output", 400, "bad-tensor", {"json": request(image(SOUND), outputs=["score"])}),
    ("an output twice", 400, "bad-tensor", {"json": request(image(SOUND), outputs=["label", "label"])}),
    ("binary_data that isn't a truth value", 400, "bad-tensor", {
        "json": request(image(SOUND), outputs=[{"name": "label", "parameters": {"binary_data": 1}}])}),
    ("binary_data_output that isn't", 400, "bad-tensor", {
        "json": request(image(SOUND), parameters={"binary_data_output": "yes"})}),
    ("shared memory", 400, "bad-tensor", {
        "json": request(sized(image(SOUND), None) | {"parameters": {"shared_memory_region": "x"}})}),
    ("classification", 400, "bad-tensor", {
        "json": request(image(SOUND), outputs=[{"name": "label", "parameters": {"classification": 2}}])}),
    # binary data
    ("binary_data_size without the header", 400, "malformed-body", {
        "json": request(sized(image(SOUND), len(DATA)))}),
    ("JSON longer than the body", 400, "malformed-body", binary(request(image(SOUND)), length=10**6)),
    ("JSON cut short", 400, "malformed-body", binary(request(image(SOUND)), length=20)),
    ("JSON of no bytes", 400, "bad-parameter", binary(request(image(SOUND)), length=0)),
    ("a length that is no number", 400, "bad-parameter", typed(JUST_JSON, Inference_Header_Content_Length="ten")),
    ("less binary data than said", 400, "malformed-body", binary(request(sized(image(SOUND), len(DATA) + 1)), DATA)),
    ("more binary data than said", 400, "malformed-body", binary(request(sized(image(SOUND), len(DATA))), DATA, b"x")),
    ("binary data that nobody wants", 400, "malformed-body", binary(request(image(SOUND)), DATA)),
    ("negative size", 400, "malformed-body", binary(request(sized(image(SOUND), -1)), DATA)),
    ("size of true", 400, "malformed-body", binary(request(sized(image(SOUND), True)), b"x")),
    ("size of text", 400, "malformed-body", binary(request(sized(image(SOUND), "9")), DATA)),
    ("data and binary data", 400, "bad-tensor", binary(
        request(image(SOUND, parameters={"binary_data_size": len(DATA)})), DATA)),
    ("no elements", 400, "bad-tensor", binary(request(sized(image(SOUND), 0)))),
    ("length of an element cut short", 400, "bad-tensor", binary(request(sized(image(SOUND), 3)), b"\0\0\0")),
    ("element longer than the data", 400, "bad-tensor", binary(
        request(sized(image(SOUND), 8)), b"\xff\xff\xff\xff1234")),
    ("more elements than said", 400, "bad-tensor", binary(
        request(sized(image(SOUND), 2 * len(DATA))), DATA, DATA)),
    ("fewer elements than said", 400, "bad-tensor", binary(request(sized(image(SOUND, SOUND), len(DATA))), DATA)),
    ("pixels cut short", 400, "bad-tensor", binary(request(sized(pixels(), 99)), bytes(99))),
    # compression
    ("brotli", 400, "unsupported-encoding", typed(JUST_JSON, Content_Encoding="br")),
    ("gzip that isn't", 400, "malformed-body", typed(JUST_JSON, Content_Encoding="gzip")),
    ("gzip cut short", 400, "malformed-body", typed(gzip.compress(JUST_JSON)[:-9], Content_Encoding="gzip")),
    ("gzip and more", 400, "malformed-body", typed(gzip.compress(JUST_JSON) + b"x", Content_Encoding="gzip")),
    ("gzip bomb", 413, "body-too-large", typed(gzip.compress(bytes(10**8)), Content_Encoding="gzip")),
    ("50 MB", 413, "body-too-large", {"content": bytes(50_000_000)}),
    # images
    ("text", 400, "unsupported-format", {"json": request(image(b"hello"))}),
    ("no bytes", 400, "empty-image", {"json": request(image(b""))}),
    ("animated WebP", 400, "multiple-frames", {"json": request(image(animation("WEBP")))}),
    ("truncated PNG", 400, "undecodable-image", {"json": request(image(SOUND[:-300]))}),
    ("16-bit gray beyond the full scale", 400, "brightness-beyond-scale", {"json": request(image(too_bright()))}),
    ("20000² PNG of 100 kB", 413, "image-too-large", {"json": request(image(png_bomb()))}),
    # headers
    ("deadline of no time", 400, "bad-parameter", typed(JUST_JSON, X_Deadline_Ms="0")),
]  # fmt: skip


@pytest.mark.parametrize(("status", "error", "sent"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
async def test_refused(client: httpx.AsyncClient, status: int, error: str, sent: dict[str, Any]) -> None:
    reply = await client.post(INFER, **sent)
    assert_problem(reply, status, error)
    assert (await client.post(INFER, json=request(image(SOUND)))).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("POST", "/v2/models/nothing/infer", 404, "unknown-model"),
        ("POST", "/v2/models/widget/versions/9/infer", 404, "unknown-version"),
        ("POST", "/v2/models/widget/versions/latest/infer", 400, "bad-parameter"),
        ("GET", "/v2/models/nothing", 404, "unknown-model"),
        ("GET", "/v2/models/nothing/ready", 404, "unknown-model"),
        ("GET", "/v2/models/widget/versions/9", 404, "unknown-version"),
        ("GET", "/v2/models/widget/versions/9/ready", 404, "unknown-version"),
        ("GET", "/v2/models/widget/versions/x/ready", 400, "bad-parameter"),
        ("GET", "/v2/models/widget/infer", 405, "method-not-allowed"),
        ("GET", "/v2/models/widget/config", 404, "not-found"),
        ("POST", "/v2/repository/index", 404, "not-found"),
    ],
)
async def test_bad_address(client: httpx.AsyncClient, method: str, path: str, status: int, error: str) -> None:
    assert_problem(await client.request(method, path), status, error)


@pytest.mark.parametrize("bad", [0, 1, 2])
async def test_bad_image_of_a_batch_is_named(client: httpx.AsyncClient, bad: int) -> None:
    files = [SOUND, SOUND, SOUND]
    files[bad] = SOUND[:-300]
    reply = await client.post(INFER, json=request(image(*files)))
    assert reply.status_code == 400
    assert reply.json()["detail"].startswith(f"image {bad}: the PNG image is broken or cut short")
