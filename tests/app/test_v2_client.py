"""NVIDIA's own client, as it is installed, against a real process."""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from PIL import Image
from tritonclient.utils import InferenceServerException

from model.preprocessing import Resizing
from tests.support.images import encoded
from tests.support.process import Server

OUTPUTS = ["label", "probability", "decision", "inspectable", "odd", "typicality", "anomaly_map", "heatmap"]
SIDE = 64
IMAGE = encoded("JPEG", size=200)


@pytest.fixture
def client(server: Server) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(server.url.removeprefix("http://")) as client:
        yield client


@pytest.fixture(scope="module")
def native(server: Server) -> dict[str, Any]:
    return dict(httpx.post(f"{server.url}/predict", content=IMAGE, timeout=60).json())


def images(*files: bytes, binary: bool = True) -> triton.InferInput:
    tensor = triton.InferInput("image", [len(files)], "BYTES")
    data = files if binary else [base64.b64encode(file) for file in files]
    return tensor.set_data_from_numpy(np.array(data, dtype=object), binary_data=binary)


def pixels(*files: bytes, binary: bool = True) -> triton.InferInput:
    batch = np.stack([Resizing(SIDE, 4095, reduced=True)(file).pixels for file in files])
    return triton.InferInput("pixels", [*batch.shape], "UINT8").set_data_from_numpy(batch, binary_data=binary)


def asked(*names: str, binary: bool = True) -> list[triton.InferRequestedOutput]:
    return [triton.InferRequestedOutput(name, binary_data=binary) for name in names]


def test_health(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("capsule")
    assert client.is_model_ready("capsule", "1")
    assert not client.is_model_ready("capsule", "9")
    assert not client.is_model_ready("grid")


def test_metadata(client: triton.InferenceServerClient) -> None:
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    for version in ("", "1"):
        metadata = client.get_model_metadata("capsule", version)
        assert (metadata["name"], metadata["versions"]) == ("capsule", ["2", "1"])
        assert [each["name"] for each in metadata["inputs"]] == ["image", "pixels"]
        assert [each["name"] for each in metadata["outputs"]] == OUTPUTS


@pytest.mark.parametrize("make", [images, pixels])
@pytest.mark.parametrize("sent", [True, False], ids=["binary", "JSON"])
@pytest.mark.parametrize("received", [True, False], ids=["binary", "JSON"])
def test_every_output(
    client: triton.InferenceServerClient, native: dict[str, Any], make: Any, sent: bool, received: bool
) -> None:
    result = client.infer("capsule", [make(IMAGE, binary=sent)], outputs=asked(*OUTPUTS, binary=received))
    (label,), (decision,), (heatmap,) = (result.as_numpy(name) for name in ("label", "decision", "heatmap"))
    assert (text(label), text(decision)) == (native["label"], native["decision"])
    assert result.as_numpy("probability") == pytest.approx([native["probability"]], abs=1e-6)
    assert result.as_numpy("inspectable").tolist() == [native["inspectable"]]
    assert result.as_numpy("typicality") == pytest.approx([native["typicality"]], abs=1e-6)
    assert json.loads(text(result.as_numpy("odd")[0])) == native["odd"]
    maps = result.as_numpy("anomaly_map")
    assert (maps.dtype, maps.shape) == (np.float32, (1, SIDE // 16, SIDE // 16))
    assert maps.mean() == pytest.approx(native["log_odds"], abs=1e-3)
    png = heatmap if received else base64.b64decode(heatmap)
    assert Image.open(io.BytesIO(png)).size == (SIDE, SIDE)


def text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def test_default_outputs(client: triton.InferenceServerClient, native: dict[str, Any]) -> None:
    result = client.infer("capsule", [images(IMAGE)], request_id="r-1", parameters={"part": 4711})
    response = result.get_response()
    assert [output["name"] for output in response["outputs"]] == ["label", "probability", "decision"]
    assert (response["id"], response["parameters"]) == ("r-1", {"part": 4711})
    assert (response["model_name"], response["model_version"]) == ("capsule", "2")
    assert result.as_numpy("probability") == pytest.approx([native["probability"]], abs=1e-6)


def test_batch_and_version(client: triton.InferenceServerClient, server: Server) -> None:
    files = [encoded(seed=seed) for seed in range(8)]
    result = client.infer("capsule", [images(*files)], model_version="1")
    one = f"{server.url}/v1/models/capsule/versions/1/predict"
    expected = [httpx.post(one, content=file, timeout=60).json()["probability"] for file in files]
    assert result.as_numpy("probability") == pytest.approx(expected, abs=1e-5)
    assert len({*expected}) == 8


def test_many_at_once(server: Server, native: dict[str, Any]) -> None:
    with triton.InferenceServerClient(server.url.removeprefix("http://"), concurrency=4) as client:
        calls = [client.async_infer("capsule", [images(IMAGE, IMAGE)]) for _ in range(8)]
        for call in calls:
            assert call.get_result().as_numpy("probability") == pytest.approx([native["probability"]] * 2, abs=1e-5)


@pytest.mark.anyio
async def test_asynchronous_client(server: Server, native: dict[str, Any]) -> None:
    async with triton_aio.InferenceServerClient(server.url.removeprefix("http://")) as client:
        assert await client.is_model_ready("capsule")
        result = await client.infer("capsule", [images(IMAGE)], outputs=asked("probability", binary=False))
        assert result.as_numpy("probability") == pytest.approx([native["probability"]], abs=1e-6)
        with pytest.raises(InferenceServerException, match="empty-image: image 0 has no bytes"):
            await client.infer("capsule", [images(b"")])


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
@pytest.mark.parametrize("sent", [True, False], ids=["binary", "JSON"])
def test_compression(
    client: triton.InferenceServerClient, native: dict[str, Any], compression: str, sent: bool
) -> None:
    """Asked for in the answer too, which the client takes uncompressed."""
    result = client.infer(
        "capsule",
        [pixels(IMAGE, binary=sent)],
        request_compression_algorithm=compression,
        response_compression_algorithm=compression,
    )
    assert result.as_numpy("probability") == pytest.approx([native["probability"]], abs=1e-6)


@pytest.mark.parametrize("sent", [True, False], ids=["binary", "JSON"])
def test_bad_image_is_named(client: triton.InferenceServerClient, sent: bool) -> None:
    with pytest.raises(InferenceServerException, match=r"^.400. undecodable-image: image 1: the JPEG image is"):
        client.infer("capsule", [images(IMAGE, IMAGE[:900], binary=sent)])
    assert client.infer("capsule", [images(IMAGE, binary=sent)]).as_numpy("label").shape == (1,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda client: client.infer("grid", [images(IMAGE)]), ".404. unknown-model: no model 'grid'"),
        (lambda client: client.get_model_metadata("capsule", "9"), ".404. unknown-version: .*no version 9"),
        (lambda client: client.infer("capsule", [images(*[IMAGE] * 9)]), ".400. batch-too-large: .*limit is 8"),
        (
            lambda client: client.infer("capsule", [images(IMAGE)], outputs=asked("x")),
            ".400. bad-tensor: no output 'x'",
        ),
        (
            lambda client: client.infer("capsule", [images(IMAGE)], headers={"X-Deadline-Ms": "never"}),
            ".400. bad-parameter: header.X-Deadline-Ms",
        ),
        (lambda client: client.get_model_config("capsule"), ".404. not-found"),
    ],
)
def test_refusals_are_readable(client: triton.InferenceServerClient, call: Any, message: str) -> None:
    with pytest.raises(InferenceServerException, match=f"^{message}"):
        call(client)
