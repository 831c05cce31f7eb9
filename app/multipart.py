"""A multipart/form-data body taken apart in memory: nothing is ever spooled to disk."""

from typing import TYPE_CHECKING, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import MalformedBodyError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_MAX_PARTS: Final = 100


def read_parts(body: bytes, boundary: bytes) -> list[tuple[str, bytes]]:
    """Each part's name and content, in order. Raises MalformedBodyError."""
    if not boundary:
        raise MalformedBodyError("the Content-Type multipart/form-data names no boundary; let the client write it")
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise MalformedBodyError(f"the multipart body can't be read: {error}") from None
    if not parts.ended:
        raise MalformedBodyError("the multipart body is cut short: its closing boundary is missing")
    return parts.found


class _Parts:
    """What the parser's callbacks have seen so far."""

    def __init__(self) -> None:
        self.found: list[tuple[str, bytes]] = []
        self.ended = False
        self._header = b""
        self._value = b""
        self._name = ""
        self._chunks: list[bytes] = []

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._part_begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _part_begin(self) -> None:
        if len(self.found) == _MAX_PARTS:
            raise MalformedBodyError(f"the multipart body has more than {_MAX_PARTS} parts")
        self._name, self._chunks = "", []

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._header = self._value = b""

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._chunks.append(data[start:end])

    def _part_end(self) -> None:
        self.found.append((self._name, b"".join(self._chunks)))

    def _end(self) -> None:
        self.ended = True
