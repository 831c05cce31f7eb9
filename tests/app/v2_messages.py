"""Requests of the Open Inference Protocol, and what is in replies."""

import base64
import json
import struct
from typing import Any

import httpx
import numpy as np

from tests.support.artifacts import pattern
from tests.support.images import encoded

INFER = "/v2/models/widget/infer"
SIDE = 64
SOUND = encoded()


def image(*files: bytes, **more: Any) -> dict[str, Any]:
    texts = [base64.b64encode(file).decode() for file in files]
    return {"name": "image", "shape": [len(files)], "datatype": "BYTES", "data": texts} | more


def pixels(count: int = 1, **more: Any) -> dict[str, Any]:
    batch = np.stack([pattern(seed) for seed in range(count)])
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


def assert_problem(reply: httpx.Response, status: int, error: str) -> None:
    """One body for both worlds: RFC 9457's members, and the protocol's `error`, which says everything."""
    body = reply.json()
    assert (reply.status_code, body["type"]) == (status, f"urn:camspector:error:{error}")
    assert reply.headers["content-type"] == "application/problem+json"
    assert body["error"] == f"{error}: {body['detail']}"
    assert body["status"] == status
    assert body["detail"]
