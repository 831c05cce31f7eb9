"""A compressed request body taken apart, no further than the limit."""

import zlib
from typing import Final, Literal

from app.errors import BodyTooLargeError, MalformedBodyError

Encoding = Literal["identity", "gzip", "deflate"]
_WINDOW: Final = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
"""RFC 9110's deflate is zlib's format."""


def expand(body: bytes, encoding: Encoding, max_bytes: int) -> bytes:
    """`body` as it was before Content-Encoding. Raises MalformedBodyError, or BodyTooLargeError beyond `max_bytes`."""
    if encoding == "identity":
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
