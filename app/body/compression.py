"""Decompression of request bodies (Content-Encoding), up to a limit of bytes."""

import zlib
from typing import Final

from app.errors import BodyTooLargeError, MalformedBodyError, UnsupportedEncodingError

ENCODINGS: Final = ("gzip", "deflate", "identity")
"""Accepted content encodings; x-gzip is gzip (RFC 9110, section 8.4.1.3)."""
_WINDOW: Final = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
"""RFC 9110's deflate is zlib's format."""


def encoding_of(header: str) -> str:
    """The encoding that the header names besides identity; empty: none. Raises UnsupportedEncodingError."""
    named = [name.strip().lower() for name in header.split(",")]
    others = [name for name in named if name not in ("", "identity")]
    if len(others) > 1 or any(name not in _WINDOW for name in others):
        raise UnsupportedEncodingError(
            f"the body's Content-Encoding is {header[:40]!r}; one of {', '.join(ENCODINGS)} is taken"
        )
    return others[0] if others else ""


def expand(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """The decompressed body. Raises MalformedBodyError, or BodyTooLargeError beyond `max_bytes`."""
    if not encoding:
        return body
    stream = zlib.decompressobj(_WINDOW[encoding])
    try:
        expanded = stream.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise MalformedBodyError(f"the body isn't {encoding}, as its Content-Encoding says: {error}") from None
    if len(expanded) > max_bytes:
        raise BodyTooLargeError(f"the request's body expands to more than the limit of {max_bytes:,} bytes")
    if not stream.eof or stream.unused_data:
        raise MalformedBodyError(f"the {encoding} body is cut short, or something follows it")
    return expanded
