"""HTTP/1.1 framing: where requests' heads and bodies end in a connection's bytes, at a bounded cost."""

import re
from collections.abc import Iterable
from typing import Final

MOST_HEAD: Final = 16_384
"""Bytes of a request's line and headers together, at most."""
MOST_LINES: Final = 100
FREE_CHUNKS: Final = 100
"""Chunks of any size in one body; a client may send a form's beginnings one by one."""
LEAST_CHUNK: Final = 64
"""Average bytes of the chunks after FREE_CHUNKS, at least: each costs the same, however little is in it."""
_MOST_CHUNK_LINE: Final = 1024

_BLANK_LINE: Final = re.compile(rb"\n\r?\n")
_FOLD: Final = re.compile(rb"\r?\n[ \t]+")
_ABSOLUTE: Final = re.compile(rb"([^ \r\n]+) https?://(?:[^/?#@ \r\n]*@)?([^/?#@ \r\n]+)([^ #\r\n]*) ", re.IGNORECASE)
_HOST: Final = re.compile(rb"\nhost:[^\n]*", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"\ncontent-length[ \t]*:", re.IGNORECASE)
_CODING: Final = re.compile(rb"\ntransfer-encoding[ \t]*:", re.IGNORECASE)
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?\r\n")


class FramingError(Exception):
    """The bytes received are no HTTP request, or one that costs more than it may."""


class Framing:
    """Framing of one connection's requests, one after the other."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._body: _Sized | _Chunked | None = None

    @property
    def in_body(self) -> bool:
        return self._body is not None

    @property
    def ahead(self) -> bool:
        """Whether bytes have arrived after the request that is being read or answered."""
        return self._body is None and bool(self._buffer)

    def feed(self, data: bytes) -> None:
        """Append bytes received."""
        self._buffer += data

    def begun(self) -> bool:
        """Whether the next request's head has begun to arrive; empty lines before it are skipped (RFC 9112, 2.2)."""
        if self._buffer[:1].isspace():
            self._buffer = self._buffer.lstrip(b"\r\n")
        return bool(self._buffer)

    def take_head(self) -> bytes | None:
        """The next request's head in origin form; None until it is complete. Raises FramingError."""
        end = _BLANK_LINE.search(self._buffer, self._searched)
        self._searched = max(0, len(self._buffer) - 2)
        if (end.end() if end else len(self._buffer)) > MOST_HEAD:
            raise FramingError(f"the headers are larger than {MOST_HEAD:,} bytes")
        if end is None:
            if self._buffer[0] < 0x21:  # TLS, for example
                raise FramingError("no request line")
            return None
        self._searched = 0
        return _plain_head(_cut(self._buffer, end.end()))

    def expect_body(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Expect the body that valid headers announce, their names in lower case."""
        length = dict(headers).get(b"content-length")
        self._body = _Chunked() if length is None else _Sized(int(length))

    def take_body(self) -> bytes:
        """The part of the body that has arrived, as an HTTP parser takes it; may be empty. Raises FramingError."""
        if self._body is None:
            return b""
        piece = self._body.take(self._buffer)
        if self._body.ended:
            self._body = None
        return piece


class _Sized:
    """A body with a Content-Length."""

    def __init__(self, left: int) -> None:
        self._left = left

    @property
    def ended(self) -> bool:
        return self._left == 0

    def take(self, buffer: bytearray) -> bytes:
        piece = _cut(buffer, min(self._left, len(buffer)))
        self._left -= len(piece)
        return piece


class _Chunked:
    """A chunked body (RFC 9112, section 7.1). However many chunks have come, one is made of them."""

    def __init__(self) -> None:
        self.ended = False
        self._left = 0
        self._break_left = False
        self._trailers = False
        self._chunks = 0
        self._bytes = 0

    def take(self, buffer: bytearray) -> bytes:
        pieces: list[bytes] = []
        at = 0
        while not self._trailers:
            if self._left:
                pieces.append(_copy(buffer, at, self._left))
                at += len(pieces[-1])
                self._left -= len(pieces[-1])
                self._break_left = not self._left
            if self._break_left:
                if buffer[at : at + 2] != b"\r\n"[: len(buffer) - at]:
                    raise FramingError("a chunk has no end")
                if len(buffer) - at < 2:
                    break
                at += 2
                self._break_left = False
            line = None if self._left else _CHUNK.match(buffer, at)
            if line is None:
                break
            at = line.end()
            self._begin(int(line[1], 16))
        if not self._left and not self._break_left and not self._trailers:
            self._check_line(buffer, at)
        del buffer[:at]
        data = b"".join(pieces)
        return (b"%x\r\n%b\r\n" % (len(data), data) if data else b"") + self._end(buffer)

    def _begin(self, size: int) -> None:
        self._left = size
        self._trailers = size == 0
        self._chunks += 1
        self._bytes += size
        if self._chunks > FREE_CHUNKS and self._bytes < LEAST_CHUNK * self._chunks and size:
            raise FramingError(f"chunks of less than {LEAST_CHUNK} bytes, on average; send larger ones")

    @staticmethod
    def _check_line(buffer: bytearray, at: int) -> None:
        """Check the beginning of an incomplete chunk line. Raises FramingError."""
        if b"\n" in buffer[at : at + _MOST_CHUNK_LINE] or len(buffer) - at >= _MOST_CHUNK_LINE:
            raise FramingError("no chunk where one must be")

    def _end(self, buffer: bytearray) -> bytes:
        """The body's end after the last chunk, without trailers; empty until it has arrived. Raises FramingError."""
        if not self._trailers:
            return b""
        if buffer[:2] == b"\r\n":
            del buffer[:2]
        elif end := _BLANK_LINE.search(buffer):
            del buffer[: end.end()]
        elif len(buffer) > MOST_HEAD:
            raise FramingError(f"the trailers are larger than {MOST_HEAD:,} bytes")
        else:
            return b""
        self.ended = True
        return b"0\r\n\r\n"


def _cut(buffer: bytearray, count: int) -> bytes:
    piece = _copy(buffer, 0, count)
    del buffer[:count]
    return piece


def _copy(buffer: bytearray, start: int, count: int) -> bytes:
    """Bytes copied once, where a slice of a bytearray and bytes() would copy twice."""
    with memoryview(buffer) as view:
        return bytes(view[start : start + count])


def _plain_head(head: bytes) -> bytes:
    """The head unfolded and in origin form (RFC 9112, sections 5.2 and 3.2.2). Raises FramingError."""
    if head.count(b"\n") > MOST_LINES + 2:
        raise FramingError(f"more than {MOST_LINES} lines of headers")
    head = _FOLD.sub(b" ", head)
    if _CODING.search(head) and (_LENGTH.search(head) or b" HTTP/1.0" in head.partition(b"\n")[0]):
        raise FramingError("Transfer-Encoding beside Content-Length, or in HTTP/1.0")
    if target := _ABSOLUTE.match(head):
        method, authority, path = target.groups()
        path = path if path[:1] == b"/" else b"/" + path if path or method != b"OPTIONS" else b"*"
        line, _, headers = head[target.end() :].partition(b"\n")
        headers = _HOST.sub(b"", b"\n" + headers)
        return b"%b %b %b\nHost: %b\r%b" % (method, path, line, authority, headers)
    return head
