"""JSON as programs write it: in UTF-8, some with a byte order mark before it."""

import codecs
from typing import Final

_OTHERS: Final = (
    ("UTF-32", (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, b"{\0\0\0", b"\0\0\0{")),
    ("UTF-16", (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"{\0", b"\0{")),
)
"""In this order: UTF-32's mark begins like UTF-16's."""


def without_mark(data: bytes) -> bytes:
    """`data` without UTF-8's byte order mark (RFC 8259, section 8.1). Raises ValueError for UTF-16 and UTF-32."""
    for name, beginnings in _OTHERS:
        if data.startswith(beginnings):
            raise ValueError(f"it is {name}, as its first bytes show; JSON is UTF-8")
    return data.removeprefix(codecs.BOM_UTF8)
