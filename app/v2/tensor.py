"""Tensor data as JSON and as Triton's binary extension: little-endian, row-major; strings with 4 bytes of length."""

import math
import struct
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.body.base64_text import decode_base64
from app.body.json_body import SLICE
from app.errors import TensorError
from app.v2.message import InputTensor

Values = Sequence[str] | Sequence[bytes] | NDArray[np.float32] | NDArray[np.float64] | NDArray[np.bool_]

_LENGTH: Final = struct.Struct("<I")
_PixelValue = Annotated[float, msgspec.Meta(ge=0, le=255)]


def read_strings(tensor: InputTensor, binary: bytes | None) -> list[bytes]:
    """The elements of a BYTES tensor; those in JSON are base64. Raises TensorError."""
    values = _read_base64(tensor) if binary is None else _split(tensor, binary)
    _check_count(tensor, len(values))
    return values


def read_bytes(tensor: InputTensor, binary: bytes | None) -> NDArray[np.uint8]:
    """A UINT8 tensor in its shape. Raises TensorError."""
    if binary is None:
        return _read_numbers(tensor).reshape(tensor.shape)
    _check_count(tensor, len(binary))
    return np.frombuffer(binary, np.uint8).reshape(tensor.shape)


def _read_base64(tensor: InputTensor) -> list[bytes]:
    """Elements of a BYTES tensor in JSON, flat or nested. Raises TensorError."""
    values = _json(tensor, tensor.text, list[str | list[str]])
    texts = [text for value in values for text in ([value] if isinstance(value, str) else value)]
    _check_count(tensor, len(texts))  # before they take more memory
    try:
        return [decode_base64(text) for text in texts]
    except ValueError as error:
        raise TensorError(f"input {tensor.name!r}, base64: {error}") from None


def _read_numbers(tensor: InputTensor) -> NDArray[np.uint8]:
    """Flat UINT8 data in JSON, flat or nested: as with Triton only the sequence counts. 7.0 is a whole number."""
    flat = tensor.text.translate(None, b"[] \t\r\n")
    if flat:
        _check_count(tensor, flat.count(b",") + 1)  # before they take more memory
    pieces = [_pixel_values(tensor, piece) for piece in _cut(flat)]
    return np.concatenate(pieces)


def _cut(flat: bytes) -> Iterator[bytes]:
    """Pieces of the text, cut at commas: between two of them other threads can run, which the parser prevents."""
    start = 0
    while (end := flat.find(b",", start + SLICE)) >= 0:
        yield flat[start:end]
        start = end + 1
    yield flat[start:]


def _pixel_values(tensor: InputTensor, flat: bytes) -> NDArray[np.uint8]:
    numbers = np.array(_json(tensor, flat and b"[" + flat + b"]", list[_PixelValue]))
    values = numbers.astype(np.uint8)
    if (values != numbers).any():
        raise TensorError(f"input {tensor.name!r}: a pixel of {numbers[values != numbers][0]}, no whole number")
    return values


def json_values(values: Values) -> Any:
    """Values for JSON: flat; msgspec encodes bytes as base64."""
    return values.ravel().tolist() if isinstance(values, np.ndarray) else values


def binary_values(values: Values) -> bytes:
    """Values for the binary extension."""
    if isinstance(values, np.ndarray):
        return values.astype(values.dtype.newbyteorder("<")).tobytes()
    texts = [value.encode() if isinstance(value, str) else value for value in values]
    return b"".join(_LENGTH.pack(len(text)) + text for text in texts)


def _split(tensor: InputTensor, binary: bytes) -> list[bytes]:
    values: list[bytes] = []
    start = 0
    while start < len(binary):
        if len(values) == tensor.shape[0]:
            raise TensorError(f"input {tensor.name!r} has more binary data than the {len(values)} of its shape")
        begin = start + _LENGTH.size
        if begin > len(binary):
            raise TensorError(f"input {tensor.name!r}: element {len(values)}'s 4 bytes of length are cut short")
        start = begin + _LENGTH.unpack_from(binary, start)[0]
        if start > len(binary):
            raise TensorError(f"input {tensor.name!r}: element {len(values)} is longer than the binary data")
        values.append(binary[begin:start])
    return values


def _json(tensor: InputTensor, data: bytes, kind: type[Any]) -> Any:
    if not data:
        raise TensorError(f"input {tensor.name!r} has neither data nor binary_data_size")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TensorError(f"input {tensor.name!r}: {error}") from None


def _check_count(tensor: InputTensor, count: int) -> None:
    expected = math.prod(tensor.shape)
    if count != expected:
        raise TensorError(f"input {tensor.name!r} has {count} elements, but the shape {tensor.shape} means {expected}")
