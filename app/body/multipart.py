"""Fields of a multipart/form-data body (RFC 7578, RFC 2046), parsed in memory: nothing is ever spooled to disk.

Of python-multipart only the parser of header options is used: its FormParser takes a body that is cut short and broken
base64 for valid, refuses preambles and folded headers, and spends 17 s on 18 MB that nearly repeat the boundary.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from python_multipart.multipart import parse_options_header

from app.body.base64_text import decode_base64
from app.errors import MalformedBodyError

_MAX_FIELDS: Final = 100
_MAX_DELIMITERS: Final = 1000
"""At most, those included that turn out to be data."""
_MAX_HEADERS: Final = 16_384
_PLAIN: Final = ("", "7bit", "8bit", "binary")


@dataclass(frozen=True)
class Field:
    """One field of a form."""

    name: str
    content: bytes


def read_fields(body: bytes, boundary: bytes) -> list[Field]:
    """In order, without preamble and epilogue. Raises MalformedBodyError."""
    if not boundary:
        raise MalformedBodyError("the Content-Type multipart/form-data names no boundary; let the client write it")
    fields = []
    begin: int | None = None
    for start, end, closing in _delimiters(body, b"--" + boundary):
        if begin is not None:
            fields.append(_field(body, begin, start))
        if closing:
            return fields
        if len(fields) == _MAX_FIELDS:
            raise MalformedBodyError(f"the multipart body has more than {_MAX_FIELDS} fields")
        begin = end
    if begin is None:
        raise MalformedBodyError("the multipart body can't be read: the Content-Type's boundary is nowhere in it")
    raise MalformedBodyError("the multipart body is cut short: its closing boundary is missing")


def _delimiters(body: bytes, dashed: bytes) -> Iterator[tuple[int, int, bool]]:
    """Start of each delimiter (its line break included), end of its line, and whether it is the closing one."""
    at = -1
    for _ in range(_MAX_DELIMITERS):
        at = body.find(dashed, at + 1)
        if at < 0:
            return
        line = _REST.match(body, at + len(dashed))
        if line and (at == 0 or body[at - 2 : at] == b"\r\n"):
            yield max(0, at - 2), line.end(), line[1] is not None
    raise MalformedBodyError(f"the multipart body has its boundary more than {_MAX_DELIMITERS:,} times")


_REST: Final = re.compile(rb"(--)|[ \t]*(?:\r\n|\Z)")
"""The rest of a delimiter's line; the closing one is followed by the epilogue."""


def _field(body: bytes, start: int, end: int) -> Field:
    blank = start - 2 if body.startswith(b"\r\n", start, end) else body.find(b"\r\n\r\n", start, end)
    if blank < 0 or blank - start > _MAX_HEADERS:
        raise MalformedBodyError("the multipart body can't be read: a field's headers have no end, or are too long")
    headers = _headers(body[start:blank])
    _, options = parse_options_header(headers.get("content-disposition", ""))
    encoding = headers.get("content-transfer-encoding", "").lower()
    return Field(options.get(b"name", b"").decode("utf-8", "replace"), _decoded(body[blank + 4 : end], encoding))


def _headers(head: bytes) -> dict[str, str]:
    """Headers by lower-case name; a line that begins with a space continues the one before it (RFC 5322, 2.2.3)."""
    lines = re.sub(rb"\r\n[ \t]+", b" ", head).decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in lines if line]
    if bad := next((name for name, colon, _ in pairs if not colon or not name.strip()), None):
        raise MalformedBodyError(f"the multipart body can't be read: {bad[:40]!r} is no header of a field")
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _decoded(content: bytes, encoding: str) -> bytes:
    """The content without its Content-Transfer-Encoding, which RFC 7578 deprecates and some clients still write."""
    if encoding in _PLAIN:
        return content
    if encoding != "base64":
        raise MalformedBodyError(f"a field's Content-Transfer-Encoding is {encoding[:40]!r}; send binary or base64")
    try:
        return decode_base64(content.decode("ascii", "replace"))
    except ValueError as error:
        raise MalformedBodyError(f"a field's base64 can't be read: {error}") from None
