"""What the service and its codec processes tell each other over a socket: two lengths, a header in MessagePack, bytes.

Nothing is unpickled: a process that an image has taken over can send no code.
"""

import struct
from typing import Final

import msgspec

from model.preprocessing import Resizing
from model.regions import Region

LENGTHS: Final = struct.Struct("<II")
"""Bytes of the header, and of the payload behind it."""
MEMORY: Final = "memory"
BUG: Final = "bug"


class Decode(msgspec.Struct, frozen=True, tag=True):
    """Payload: an encoded image. Answered by Decoded."""

    max_pixels: int
    resizing: Resizing
    """Of the model that inspects it."""


class Overlay(msgspec.Struct, frozen=True, tag=True):
    """Payload: an encoded image. Answered by Drawn."""

    max_pixels: int
    full_scale: int | None
    width: int
    height: int
    values: bytes
    """The heatmap, float32 height×width in 0..1."""
    regions: list[Region]


class Decoded(msgspec.Struct, frozen=True, tag=True):
    """Payload: the frame that the network sees, uint8 H×W×3, as large as `Resizing.frame_of` says."""

    width: int
    height: int
    """Of the image that was sent, EXIF-transposed, in pixels."""


class Drawn(msgspec.Struct, frozen=True, tag=True):
    """Payload: a PNG of the image's size."""


class Refused(msgspec.Struct, frozen=True, tag=True):
    """No payload."""

    error: str
    """The class in model.errors, or MEMORY or BUG."""
    message: str


class Answer(msgspec.Struct, frozen=True):
    """What became of one request."""

    content: Decoded | Drawn | Refused
    seconds: float
    stderr_lines: int
    """Written to standard error by C libraries, and thrown away."""


Request = Decode | Overlay

encode: Final = msgspec.msgpack.Encoder().encode
decode_request: Final = msgspec.msgpack.Decoder(Request).decode
decode_answer: Final = msgspec.msgpack.Decoder(Answer).decode
