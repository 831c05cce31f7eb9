"""Inference ids: UUIDs of version 7, whose order is that of time, so that an index grows at its end."""

import secrets
from typing import Final

_RANDOM_BITS: Final = 74


def new_inference_id(milliseconds: int) -> str:
    """32 hexadecimal digits that begin with the time, in milliseconds since 1970 (RFC 9562, section 5.7)."""
    random = secrets.randbits(_RANDOM_BITS)
    number = (
        (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | (random >> 62) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    )
    return f"{number:032x}"


def first_id_at(milliseconds: int) -> str:
    """What sorts before every id from that time on, and after all before it."""
    return f"{max(0, milliseconds):012x}"


def milliseconds_of(inference_id: str) -> int:
    """The time that an id begins with."""
    return int(inference_id[:12], 16)
