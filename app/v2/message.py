"""Body of an inference request: JSON, and behind it the tensors that are sent as binary data."""

from typing import Annotated, Any, Final

import msgspec

from app.body.json_body import read_json
from app.errors import MalformedBodyError

JSON_LENGTH: Final = "Inference-Header-Content-Length"

Parameters = dict[str, Any]
"""Any JSON; most parameters mean nothing to the service, and null is the same as absent."""


class InputTensor(msgspec.Struct, frozen=True):
    """One input; `data` is kept as raw JSON until its type is known, empty where there is none."""

    name: str
    datatype: str
    shape: list[Annotated[int, msgspec.Meta(ge=0)]]
    data: msgspec.Raw = msgspec.Raw()
    parameters: Parameters | None = None

    @property
    def text(self) -> bytes:
        """The raw JSON of `data`; empty also where it is null."""
        text = bytes(self.data)
        return b"" if text == b"null" else text

    def parameter(self, name: str) -> Any:
        return (self.parameters or {}).get(name)


class RequestedOutput(msgspec.Struct, frozen=True):
    """An output that the client asks for."""

    name: str
    parameters: Parameters | None = None


class RequestJson(msgspec.Struct, frozen=True):
    """The JSON; unknown members are ignored, as the protocol's extensions require."""

    inputs: list[InputTensor]
    outputs: list[RequestedOutput] | None = None
    id: str | None = None
    parameters: Parameters | None = None


def split_body(body: bytes, json_length: int | None, numbers: int) -> tuple[RequestJson, list[bytes | None]]:
    """The request, and the binary data of each of its inputs, None for what has its data in the JSON.

    `json_length`: the header Inference-Header-Content-Length; None: the body is JSON alone. `numbers`: how many the
    data of all tensors can have.
    Raises MalformedBodyError or MissingFieldError.
    """
    if json_length is not None and json_length > len(body):
        raise MalformedBodyError(f"{JSON_LENGTH} is {json_length}, but the body has {len(body)} bytes")
    request = read_json(body[:json_length], RequestJson, numbers)
    chunks: list[bytes | None] = []
    start = len(body) if json_length is None else json_length
    for tensor in request.inputs:
        size = _binary_size(tensor)
        if size is None:
            chunks.append(None)
            continue
        if json_length is None:
            raise MalformedBodyError(
                f"input {tensor.name[:40]!r} has binary_data_size, but the request has no header {JSON_LENGTH}"
            )
        chunks.append(body[start : start + size])
        start += size
    if start != len(body):
        raise MalformedBodyError(
            f"the JSON and the inputs' binary_data_size make {start} bytes, but the body has {len(body)}"
        )
    return request, chunks


def _binary_size(tensor: InputTensor) -> int | None:
    size = tensor.parameter("binary_data_size")
    if size is None:
        return None
    if type(size) is not int or size < 0:  # bool is an int
        raise MalformedBodyError(f"binary_data_size of input {tensor.name[:40]!r} must be a whole number, 0 or more")
    return size
