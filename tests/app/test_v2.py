"""Open Inference Protocol v2: what it says of models, and what comes back for a batch."""

import asyncio
import base64
import gzip
import io
import json
import re
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
from model.verdict import sigmoid
from tests.app.conftest import Bench, running, until
from tests.app.test_model_manager import put
from tests.app.v2_messages import (
    INFER,
    SIDE,
    SOUND,
    assert_problem,
    binary,
    image,
    pixels,
    request,
    sized,
    strings,
    values,
)
from tests.support.artifacts import pattern
from tests.support.images import encoded

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def detector(store: Path) -> Detector:
    return load_detector(store / "widget" / "2", "cpu")


def evidence(detector: Detector, *files: bytes) -> np.ndarray[Any, np.dtype[np.float32]]:
    return detector.engine.run(np.stack([detector.read_image(file).pixels for file in files])).evidence


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
            {"name": "inspectable", "datatype": "BOOL", "shape": [-1]},
            {"name": "odd", "datatype": "BYTES", "shape": [-1]},
            {"name": "typicality", "datatype": "FP64", "shape": [-1]},
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


async def test_anomaly_map_holds_the_lines_share_of_defects(store: Path, tmp_path: Path) -> None:
    put(store, tmp_path, "widget", 1)
    (tmp_path / "widget" / "serving.json").write_text('{"defect_rate": 0.01}')
    app = create_app(Settings(store=tmp_path, device="cpu"))
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
    seen = detector.read_image(encoded("JPEG", size=200)).pixels[None]
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
    sent = binary(request(sized(pixels(), SIDE * SIDE * 3)), pattern(0).tobytes())
    packed = {"content": compress(sent["content"]), "headers": sent["headers"] | {"Content-Encoding": encoding}}
    assert values(await client.post(INFER, **packed)) == values(await client.post(INFER, **sent))


@pytest.mark.parametrize("encoding", ["GZIP", "x-gzip", "Gzip, identity"])
async def test_encoding_in_any_case(client: httpx.AsyncClient, encoding: str) -> None:
    content = gzip.compress(json.dumps(request(image(SOUND))).encode())
    assert values(await client.post(INFER, content=content, headers={"Content-Encoding": encoding}))


TEXT = base64.b64encode(SOUND).decode()
COLUMN = image(SOUND, SOUND, shape=[2, 1])


@pytest.mark.parametrize(
    "body",
    [
        request(COLUMN),
        request(COLUMN | {"data": [[TEXT], [TEXT]]}),
        request(COLUMN | {"parameters": {"content_type": "base64"}}),
        request(image(SOUND, SOUND, parameters={"content_type": "base64", "headers": None})),
        request(image(SOUND, SOUND, parameters={"binary_data_size": None, "shared_memory_region": None})),
        request(image(SOUND, SOUND, parameters={"headers": {"a": {"b": [1, None]}}, "tags": ["a"]})),
        request(image(SOUND, SOUND), parameters=None, outputs=[{"name": "probability", "parameters": None}]),
        request(
            image(SOUND, SOUND),
            outputs=[{"name": "probability", "parameters": {"binary_data": None, "classification": None}}],
        ),
        request(image(SOUND, SOUND), parameters={"binary_data_output": None, "headers": {"a": "b"}}),
        request(image(SOUND, SOUND, data=[base64.encodebytes(SOUND).decode(), f"data:image/png;base64,{TEXT}"])),
    ],
)
async def test_request_as_clients_write_it(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    (expected,) = values(await client.post(INFER, json=request(image(SOUND), outputs=["probability"])))["probability"]
    for text in (json.dumps(body).encode(), b"\xef\xbb\xbf" + json.dumps(body).encode()):
        reply = values(await client.post(INFER, content=text))
        assert reply["probability"] == pytest.approx([expected] * 2, abs=1e-6)


@pytest.mark.parametrize("shape", [[1], [1, 1]])
async def test_binary_data_beside_null(client: httpx.AsyncClient, shape: list[int]) -> None:
    data = strings(SOUND)
    tensor = image(SOUND, shape=shape, data=None, parameters={"binary_data_size": len(data), "headers": None})
    assert values(await client.post(INFER, **binary(request(tensor), data)))


async def test_parameters_come_back_without_nulls(client: httpx.AsyncClient) -> None:
    parameters = {"headers": {"a": [1, None, "ü"]}, "big": 2**70, "none": None, "binary_data_output": None}
    reply = await client.post(INFER, json=request(image(SOUND), parameters=parameters))
    assert reply.json()["parameters"] == {"headers": {"a": [1, None, "ü"]}, "big": 2**70}


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
    for name in ("heatmap", "anomaly_map"):
        monkeypatch.setattr(Detector, name, lambda *_, drawn_by=name: drawn.append(drawn_by))
    assert (await bench.client.post(INFER, json=brightness(1))).status_code == 200
    assert drawn == []
    asked = brightness(1) | {"outputs": [{"name": "anomaly_map"}]}
    assert (await bench.client.post(INFER, json=asked)).status_code == 200
    assert drawn == ["anomaly_map"]


async def test_slot_and_deadline_are_the_native_ones(bench: Bench) -> None:
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
        found = re.findall(r"^camspector_verdicts_total{.*widget.* (\S+)$", (await client.get("/metrics")).text, re.M)
        return sum(map(float, found))

    before = await count()
    await client.post(INFER, json=request(image(SOUND, SOUND, SOUND)))
    assert await count() == before + 3


async def test_under_a_gateways_prefix_errors_are_the_protocols(client: httpx.AsyncClient) -> None:
    transport = httpx.ASGITransport(client._transport.app, root_path="/inspection")  # type: ignore[attr-defined]
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as gateway:
        reply = await gateway.get("/inspection/v2/models/nothing")
        assert_problem(reply, 404, "unknown-model")
