"""Base64 as clients write it: in lines, or as a data: URL."""

import binascii
import re
from typing import Final

_SLICE: Final = 1 << 18
"""Characters decoded at once; between two slices other threads can run."""
_DATA_URL: Final = re.compile(rb"\s*data:([^,]{0,200}),", re.IGNORECASE)
_WHITESPACE: Final = b" \t\r\n"


def decode_base64(text: str) -> bytes:
    """The decoded bytes; line breaks, spaces and the prefix of a data: URL are skipped. Raises ValueError."""
    try:
        data = text.encode("ascii")
    except UnicodeEncodeError:
        raise ValueError("it has characters that base64 hasn't") from None
    start = 0
    if url := _DATA_URL.match(data):
        if not url[1].lower().endswith(b";base64"):
            raise ValueError("its data: URL isn't in base64")
        start = url.end()
    return b"".join(_pieces(data, start))


def _pieces(data: bytes, start: int) -> list[bytes]:
    pieces: list[bytes] = []
    left = b""
    for at in range(start, len(data), _SLICE):
        left += data[at : at + _SLICE].translate(None, _WHITESPACE)
        whole = len(left) // 4 * 4
        if left and pieces and len(pieces[-1]) % 3:
            raise ValueError("something stands behind its padding")
        pieces.append(_decode(left[:whole]))
        left = left[whole:]
    return [*pieces, _decode(left)]


def _decode(piece: bytes) -> bytes:
    try:
        return binascii.a2b_base64(piece, strict_mode=True)
    except binascii.Error as error:
        if re.search(rb"[-_]", piece):
            raise ValueError("it is URL-safe base64, with - and _; send the standard alphabet, with + and /") from None
        raise ValueError(f"{error}") from None
