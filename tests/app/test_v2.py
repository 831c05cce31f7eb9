"""Open Inference Protocol v2: what it says of models, what comes back for a batch, and what is refused."""

import asyncio
import base64
import gzip
import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from app.application import create_app
from app.settings import Settings
from model.detector import Detector, load_detector
from model.image import decode
from model.verdict import sigmoid
from tests.app.conftest import Bench, running, until
from tests.app.test_bad_uploads import too_bright
from tests.artifacts import picture
from tests.pictures import animation, encoded, png_bomb

pytestmark = pytest.mark.anyio

INFER = "/v2/models/widget/infer"
SIDE = 64


def image(*files: bytes, **more: Any) -> dict[str, Any]:
    texts = [base64.b64encode(file).decode() for file in files]
    return {"name": "image", "shape": [len(files)], "datatype": "BYTES", "data": texts} | more


def pixels(count: int = 1, **more: Any) -> dict[str, Any]:
    batch = np.stack([picture(seed) for seed in range(count)])
    return {"name": "pixels", "shape": [count, SIDE, SIDE, 3], "datatype": "UINT8", "data": batch.tolist()} | more


def request(*inputs: dict[str, Any], outputs: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    asked = [{"name": output} if isinstance(output, str) else output for output in outputs or []]
    return {"inputs": list(inputs)} | ({"outputs": asked} if outputs is not None else {}) | more


def binary(head: dict[str, Any], *chunks: bytes, length: int | None = None) -> dict[str, Any]:
    """httpx's arguments for JSON with binary data behind it."""
    text = json.dumps(head).encode()
    headers = {"Inference-Header-Content-Length": str(len(text) if length is None else length)}
    return {"content": text + b"".join(chunks), "headers": headers}


def strings(*elements: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def sized(tensor: dict[str, Any], size: object) -> dict[str, Any]:
    return {name: value for name, value in tensor.items() if name != "data"} | {
        "parameters": {"binary_data_size": size}
    }


def values(reply: httpx.Response) -> dict[str, Any]:
    """Each output's data, from the JSON or from behind it."""
    assert reply.status_code == 200, reply.text
    length = int(reply.headers.get("inference-header-content-length", len(reply.content)))
    head, rest = json.loads(reply.content[:length]), reply.content[length:]
    found = {}
    for output in head["outputs"]:
        if "data" in output:
            found[output["name"]] = output["data"]
            continue
        size = output["parameters"]["binary_data_size"]
        found[output["name"]], rest = rest[:size], rest[size:]
    assert rest == b""
    return found


@pytest.fixture(scope="module")
def detector(store: Path) -> Detector:
    return load_detector(store / "widget" / "2", "cpu")


def evidence(detector: Detector, *files: bytes) -> np.ndarray[Any, np.dtype[np.float32]]:
    return detector.engine.evidence(np.stack([detector.squash(decode(file)) for file in files]))


async def test_server(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v2")).json() == {
        "name": "camspector",
        "version": "0.1.0",
        "extensions": ["binary_tensor_data"],
    }
    assert (await client.get("/v2/health/live")).json() == {"live": True}
    assert (await client.get("/v2/health/ready")).json() == {"ready": True}


@pytest.mark.parametrize("path", ["/v2/models/widget", "/v2/models/widget/versions/1"])
async def test_model(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).json() == {
        "name": "widget",
        "versions": ["2", "1"],
        "platform": "torch_float32",
        "inputs": [
            {"name": "image", "datatype": "BYTES", "shape": [-1]},
            {"name": "pixels", "datatype": "UINT8", "shape": [-1, SIDE, SIDE, 3]},
        ],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "probability", "datatype": "FP64", "shape": [-1]},
            {"name": "decision", "datatype": "BYTES", "shape": [-1]},
            {"name": "anomaly_map", "datatype": "FP32", "shape": [-1, -1, -1]},
            {"name": "heatmap", "datatype": "BYTES", "shape": [-1]},
        ],
    }
    assert (await client.get(f"{path}/ready")).json() == {"name": "widget", "ready": True}


async def test_nothing_is_ready_without_models(tmp_path: Path) -> None:
    async with running(create_app(Settings(store=tmp_path, device="cpu"))) as client:
        assert (await client.get("/v2/health/live")).status_code == 200
        for path in ("/v2/health/ready", "/v2/models/widget", "/v2/models/widget/ready"):
            reply = await client.get(path)
            assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
            assert reply.json()["error"].startswith("not-ready: no model is loaded yet")


async def test_draining_is_not_ready(bench: Bench) -> None:
    bench.service.draining = True
    reply = await bench.client.get("/v2/health/ready")
    assert (reply.status_code, "shutting down" in reply.json()["error"]) == (503, True)
    assert (await bench.client.get("/v2/health/live")).status_code == 200


async def test_default_outputs_are_the_native_verdict(client: httpx.AsyncClient) -> None:
    reply = (await client.post(INFER, json=request(image(encoded())))).json()
    native = (await client.post("/v1/models/widget/predict", content=encoded())).json()
    assert reply == {
        "model_name": "widget",
        "model_version": "2",
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [1], "data": [native["label"]]},
            {"name": "probability", "datatype": "FP64", "shape": [1], "data": [native["probability"]]},
            {"name": "decision", "datatype": "BYTES", "shape": [1], "data": [native["decision"]]},
        ],
    }


async def test_version_in_the_address(client: httpx.AsyncClient) -> None:
    reply = (await client.post("/v2/models/widget/versions/1/infer", json=request(image(encoded())))).json()
    native = (await client.post("/v1/models/widget/versions/1/predict", content=encoded())).json()
    assert (reply["model_version"], reply["outputs"][1]["data"]) == ("1", [native["probability"]])


async def test_pool_of_the_anomaly_map_is_the_verdict(client: httpx.AsyncClient, detector: Detector) -> None:
    files = [encoded(seed=seed) for seed in (5, 6)]
    reply = values(await client.post(INFER, json=request(image(*files), outputs=["anomaly_map", "probability"])))
    maps = np.array(reply["anomaly_map"]).reshape(2, SIDE // 16, SIDE // 16)
    expected = detector.variant.calibration.slope * evidence(detector, *files)
    assert maps == pytest.approx(expected, abs=1e-3)
    log_odds = detector.manifest.pooling(maps)
    assert reply["probability"] == pytest.approx([sigmoid(pooled) for pooled in log_odds], abs=1e-6)


async def test_anomaly_map_holds_the_lines_share_of_defects(store: Path) -> None:
    app = create_app(Settings(store=store, device="cpu", default_model="widget", defect_rate={"widget": 0.01}))
    async with running(app) as client:
        await until(lambda: not app.state.service.unready())
        reply = values(await client.post(INFER, json=request(image(encoded()), outputs=["anomaly_map", "probability"])))
    assert reply["probability"] == pytest.approx([sigmoid(float(np.mean(reply["anomaly_map"])))], abs=1e-6)


async def test_heatmap(client: httpx.AsyncClient) -> None:
    native = (await client.post("/v1/models/widget/predict", content=encoded())).json()["heatmap"]
    (text,) = values(await client.post(INFER, json=request(image(encoded()), outputs=["heatmap"])))["heatmap"]
    found, expected = (np.asarray(Image.open(io.BytesIO(base64.b64decode(each)))) for each in (text, native))
    assert found.shape == (SIDE, SIDE)
    assert np.abs(found.astype(int) - expected).max() <= 1


async def test_pixels_are_what_the_network_sees(client: httpx.AsyncClient, detector: Detector) -> None:
    seen = detector.squash(decode(encoded("JPEG", size=200)))[None]
    tensor = {"name": "pixels", "shape": [1, SIDE, SIDE, 3], "datatype": "UINT8"}
    expected = values(await client.post(INFER, json=request(image(encoded("JPEG", size=200)))))["probability"]
    for data in (seen.tolist(), seen.ravel().tolist(), seen.ravel().astype(float).tolist()):
        reply = await client.post(INFER, json=request(tensor | {"data": data}))
        assert values(reply)["probability"] == pytest.approx(expected, abs=1e-6)
    reply = await client.post(INFER, **binary(request(sized(tensor, seen.size)), seen.tobytes()))
    assert values(reply)["probability"] == pytest.approx(expected, abs=1e-6)


async def test_binary_in_and_out(client: httpx.AsyncClient) -> None:
    """Outputs in the order in which they are asked for; `binary_data` wins over `binary_data_output`."""
    names = ["heatmap", "probability", "label", "decision", "anomaly_map"]
    outputs = [{"name": name} for name in names[:3]] + [
        {"name": name, "parameters": {"binary_data": False}} for name in names[3:]
    ]
    data = strings(encoded(), encoded("JPEG"))
    head = request(sized(image(b"", b""), len(data)), outputs=outputs, parameters={"binary_data_output": True})
    reply = await client.post(INFER, **binary(head, data))
    assert reply.headers["content-type"] == "application/octet-stream"
    found = values(reply)
    assert list(found) == names
    plain = values(await client.post(INFER, json=request(image(encoded(), encoded("JPEG")), outputs=names)))
    assert np.frombuffer(found["probability"], "<f8") == pytest.approx(plain["probability"], abs=1e-9)
    assert found["label"] == strings(*(label.encode() for label in plain["label"]))
    assert found["decision"] == plain["decision"]
    assert found["anomaly_map"] == pytest.approx(plain["anomaly_map"], abs=1e-4)
    assert found["heatmap"].count(b"\x89PNG") == 2


async def test_id_and_parameters_come_back(client: httpx.AsyncClient) -> None:
    parameters = {"part": 4711, "line": "a", "weight": 1.5, "first": True}
    body = request(image(encoded()), id="r-1", parameters=parameters | {"binary_data_output": False})
    reply = await client.post(INFER, json=body, headers={"X-Part-ID": "p-1"})
    assert (reply.json()["id"], reply.json()["parameters"]) == ("r-1", parameters)
    assert reply.headers["x-part-id"] == "p-1"


async def test_optional_members_may_be_null_and_unknown_ones_are_ignored(client: httpx.AsyncClient) -> None:
    body = request(image(encoded(), parameters=None, content_type="x"), id=None, parameters=None, model_name="other")
    assert (await client.post(INFER, json=body | {"outputs": None})).status_code == 200
    assert (await client.post(INFER, json=body | {"outputs": []})).status_code == 200


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_compressed_request(client: httpx.AsyncClient, encoding: str, compress: Any) -> None:
    sent = binary(request(sized(pixels(), SIDE * SIDE * 3)), picture(0).tobytes())
    packed = {"content": compress(sent["content"]), "headers": sent["headers"] | {"Content-Encoding": encoding}}
    assert values(await client.post(INFER, **packed)) == values(await client.post(INFER, **sent))


def typed(content: bytes, **headers: str) -> dict[str, Any]:
    return {"content": content, "headers": {name.replace("_", "-"): value for name, value in headers.items()}}


SOUND = encoded()
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
    ("a picture", 400, "malformed-body", {"content": SOUND}),
    ("a form", 400, "malformed-body", {"files": {"file": SOUND}}),
    ("no inputs member", 400, "missing-field", {"json": {"outputs": []}}),
    ("input without a shape", 400, "missing-field", {"json": request({"name": "image", "datatype": "BYTES"})}),
    ("shape of text", 400, "malformed-body", {"json": request(image(SOUND, shape=["1"]))}),
    ("negative shape", 400, "malformed-body", {"json": request(image(SOUND, shape=[-1]))}),
    ("parameter of no kind", 400, "malformed-body", {"json": request(image(SOUND), parameters={"a": [1]})}),
    ("parameter beyond 64 bits", 400, "malformed-body", {"json": request(image(SOUND), parameters={"a": 2**64})}),
    # inputs and outputs
    ("no input", 400, "bad-tensor", {"json": request()}),
    ("two inputs", 400, "bad-tensor", {"json": request(image(SOUND), pixels())}),
    ("unknown input", 400, "bad-tensor", {"json": request(image(SOUND, name="picture"))}),
    ("wrong datatype", 400, "bad-tensor", {"json": request(image(SOUND, datatype="UINT8"))}),
    ("image with two axes", 400, "bad-tensor", {"json": request(image(SOUND, shape=[1, 1]))}),
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
    ("brotli", 400, "bad-parameter", typed(JUST_JSON, Content_Encoding="br")),
    ("gzip that isn't", 400, "malformed-body", typed(JUST_JSON, Content_Encoding="gzip")),
    ("gzip cut short", 400, "malformed-body", typed(gzip.compress(JUST_JSON)[:-9], Content_Encoding="gzip")),
    ("gzip and more", 400, "malformed-body", typed(gzip.compress(JUST_JSON) + b"x", Content_Encoding="gzip")),
    ("gzip bomb", 413, "body-too-large", typed(gzip.compress(bytes(10**8)), Content_Encoding="gzip")),
    ("50 MB", 413, "body-too-large", {"content": bytes(50_000_000)}),
    # pictures
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


def assert_problem(reply: httpx.Response, status: int, error: str) -> None:
    """One body for both worlds: RFC 9457's members, and the protocol's `error`, which says everything."""
    body = reply.json()
    assert (reply.status_code, body["type"]) == (status, f"urn:camspector:error:{error}")
    assert reply.headers["content-type"] == "application/problem+json"
    assert body["error"] == f"{error}: {body['detail']}"
    assert body["status"] == status
    assert body["detail"]


@pytest.mark.parametrize("bad", [0, 1, 2])
async def test_bad_image_of_a_batch_is_named(client: httpx.AsyncClient, bad: int) -> None:
    files = [SOUND, SOUND, SOUND]
    files[bad] = SOUND[:-300]
    reply = await client.post(INFER, json=request(image(*files)))
    assert reply.status_code == 400
    assert reply.json()["detail"].startswith(f"image {bad}: the PNG image is broken or cut short")


async def test_bad_image_fails_no_other_request(bench: Bench) -> None:
    good = [asyncio.create_task(bench.predict(1)), asyncio.create_task(bench.client.post(INFER, json=brightness(2, 3)))]
    await until(lambda: bench.waiting() + sum(map(len, bench.widget.batches)) == 3)
    bad = await bench.client.post(INFER, json=request(image(SOUND, b"hello")))
    assert bad.status_code == 400
    bench.widget.gate.set()
    assert [reply.status_code for reply in await asyncio.gather(*good)] == [200, 200]


def brightness(*levels: int) -> dict[str, Any]:
    return request(image(*(encoded(brightness=level) for level in levels)))


async def test_each_image_gets_its_own_verdict(bench: Bench) -> None:
    bench.widget.gate.set()
    reply = await bench.client.post(INFER, json=brightness(0, 255, 100))
    probabilities = [sigmoid(10 * (level / 255 - 0.5)) for level in (0, 255, 100)]
    assert values(reply)["probability"] == pytest.approx(probabilities, abs=1e-4)
    assert values(reply)["decision"] == ["accept", "reject", "accept"]


async def test_batch_is_limited_by_the_networks(bench: Bench) -> None:
    """bench's is 3."""
    reply = await bench.client.post(INFER, json=brightness(1, 2, 3, 4))
    assert_problem(reply, 400, "batch-too-large")
    assert reply.json()["detail"] == "a batch of 4 images; the limit is 3"


async def test_nothing_is_drawn_that_is_not_asked_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.widget.gate.set()
    drawn: list[str] = []
    for name in ("picture", "calibrated"):
        monkeypatch.setattr(Detector, name, lambda _, evidence, name=name: drawn.append(name) or evidence)
    assert (await bench.client.post(INFER, json=brightness(1))).status_code == 200
    assert drawn == []
    asked = brightness(1) | {"outputs": [{"name": "anomaly_map"}]}
    assert (await bench.client.post(INFER, json=asked)).status_code == 200
    assert drawn == ["calibrated"]


async def test_place_and_deadline_are_the_native_ones(bench: Bench) -> None:
    waiting = [asyncio.create_task(bench.client.post(INFER, json=brightness(1, 2))) for _ in range(4)]
    await until(lambda: bench.service.admission._free == 0)
    reply = await bench.client.post(INFER, json=brightness(1))
    assert_problem(reply, 429, "queue-full")
    assert reply.headers["retry-after"] == "1"
    bench.widget.gate.set()
    assert [reply.status_code for reply in await asyncio.gather(*waiting)] == [200] * 4
    bench.widget.gate.clear()
    reply = await bench.client.post(INFER, json=brightness(1, 2), headers={"X-Deadline-Ms": "150"})
    assert_problem(reply, 504, "deadline-passed")


async def test_late_batch_leaves_the_queue(bench: Bench) -> None:
    first = asyncio.create_task(bench.predict(1))
    await until(lambda: bench.widget.batches)
    reply = await bench.client.post(INFER, json=brightness(2, 3), headers={"X-Deadline-Ms": "150"})
    assert reply.status_code == 504
    bench.widget.gate.set()
    assert (await first).status_code == 200
    assert (await bench.predict(4)).status_code == 200
    assert bench.widget.batches == [[1], [4]]


async def test_every_image_of_a_batch_is_counted(client: httpx.AsyncClient) -> None:
    async def count() -> float:
        lines = (await client.get("/metrics")).text.splitlines()
        return sum(float(line.split()[1]) for line in lines if line.startswith("verdicts_total{") and "widget" in line)

    before = await count()
    await client.post(INFER, json=request(image(SOUND, SOUND, SOUND)))
    assert await count() == before + 3


async def test_under_a_gateways_prefix_errors_are_the_protocols(client: httpx.AsyncClient) -> None:
    transport = httpx.ASGITransport(client._transport.app, root_path="/inspection")  # type: ignore[attr-defined]
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as gateway:
        reply = await gateway.get("/inspection/v2/models/nothing")
        assert_problem(reply, 404, "unknown-model")
