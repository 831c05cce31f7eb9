"""Where requests end in a connection's bytes, however those are cut."""

import pytest

from app.connection import framing
from app.connection.framing import Framing, FramingError

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = [(b"transfer-encoding", b"chunked")]


def fed(data: bytes) -> Framing:
    made = Framing()
    made.feed(data)
    return made


def head(data: bytes) -> bytes | None:
    made = fed(data)
    return made.take_head() if made.begun() else None


def body(data: bytes, step: int) -> tuple[bytes, Framing]:
    """What comes out for a chunked body that comes in steps."""
    made = Framing()
    made.expect_body(CHUNKED)
    out = b""
    for start in range(0, len(data), step):
        made.feed(data[start : start + step])
        out += made.take_body()
    return out, made


def joined(chunks: bytes) -> bytes:
    """The data in chunks."""
    data = b""
    while chunks:
        size, _, rest = chunks.partition(b"\r\n")
        data += rest[: int(size, 16)]
        chunks = rest[int(size, 16) + 2 :]
    return data


@pytest.mark.parametrize("before", [b"", b"\r\n", b"\n", b"\r\n\r\n\n"])
def test_empty_lines_before_a_request_count_for_nothing(before: bytes) -> None:
    assert head(before + GET) == GET
    assert head(before) is None
    again = fed(GET + before + GET)
    assert (again.begun(), again.take_head(), again.ahead) == (True, GET, True)
    assert (again.begun(), again.take_head(), again.begun()) == (True, GET, False)


def test_a_head_in_pieces() -> None:
    made = Framing()
    for byte in GET[:-1]:
        made.feed(bytes([byte]))
        assert made.begun()
        assert made.take_head() is None
    made.feed(GET[-1:])
    assert made.take_head() == GET


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        (b"http://a.b:8000/v1/x?y=%20", b"/v1/x?y=%20", b"a.b:8000"),
        (b"HTTPS://a/", b"/", b"a"),
        (b"http://a", b"/", b"a"),
        (b"http://a?b=c", b"/?b=c", b"a"),
        (b"http://u:p@[::1]:9/x", b"/x", b"[::1]:9"),
        (b"http://a/http://b/", b"/http://b/", b"a"),
    ],
)
def test_absolute_form(target: bytes, path: bytes, host: bytes) -> None:
    """Its host counts, whatever the header says."""
    sent = b"POST " + target + b" HTTP/1.1\r\nA: b\r\nHOST: other\r\nHost2: c\r\n\r\n"
    assert head(sent) == b"POST " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\nA: b\r\nHost2: c\r\n\r\n"
    assert head(b"POST " + target + b" HTTP/1.0\r\n\r\n") == (
        b"POST " + path + b" HTTP/1.0\r\nHost: " + host + b"\r\n\r\n"
    )


def test_asterisk_form() -> None:
    assert head(b"OPTIONS http://a:1 HTTP/1.1\r\nHost: x\r\n\r\n") == b"OPTIONS * HTTP/1.1\r\nHost: a:1\r\n\r\n"


def test_folded_lines() -> None:
    assert head(b"GET / HTTP/1.1\r\nA: b\r\n \t c\r\nHost: x\r\n\r\n") == b"GET / HTTP/1.1\r\nA: b c\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 17_000 + b"\r\n\r\n", "larger than 16,384"),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 17_000, "larger than 16,384"),
        (b"GET / HTTP/1.1\r\n" + b"A:\r\n" * 101 + b"\r\n", "more than 100 lines"),
        (b"\x16\x03\x01\x02", "no request line"),
        (b" GET / HTTP/1.1\r\n", "no request line"),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "beside Content-Length"),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length : 3\r\n\r\n", "beside Content-Length"),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nA: b\r\n c\r\ncontent-length: 3\r\n\r\n", "beside Content"),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "in HTTP/1.0"),
    ],
)
def test_a_head_that_is_none(data: bytes, reason: str) -> None:
    with pytest.raises(FramingError, match=reason):
        head(data)


def test_a_hundred_lines_are_taken() -> None:
    sent = b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 99 + b"Host: x\r\n\r\n"
    assert head(sent) == sent


@pytest.mark.parametrize("step", [1, 2, 3, 7, 10_000])
def test_a_body_with_a_length(step: int) -> None:
    made = Framing()
    made.expect_body([(b"content-length", b"5")])
    out = b""
    data = b"12\r\n5" + GET
    for start in range(0, len(data), step):
        made.feed(data[start : start + step])
        if made.in_body:
            out += made.take_body()
    assert (out, made.in_body, made.take_head()) == (b"12\r\n5", False, GET)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize("trailers", [b"", b"A: b\r\n", b"A: b\r\nC: d\r\n"])
def test_chunks(step: int, trailers: bytes) -> None:
    """Few come out, without extensions and trailers; and what follows is the next request."""
    data = b"5\r\nhello\r\n00A;name=value \r\n0123456789\r\n1 \r\n\r\r\n0\r\n" + trailers + b"\r\n"
    out, made = body(data, step)
    assert out.endswith(b"0\r\n\r\n")
    assert joined(out.removesuffix(b"0\r\n\r\n")) == b"hello0123456789\r"
    assert not made.in_body
    assert not made.ahead
    if step == 10_000:
        assert out == b"10\r\nhello0123456789\r\r\n0\r\n\r\n"
        assert body(data + GET, step)[1].take_head() == GET


@pytest.mark.parametrize(
    "data",
    [b"no chunk\r\n", b"5\r\nhelloX", b"5\r\nhello\r\nx\r\n", b"-1\r\n", b"\r\n", b"0x5\r\nhello\r\n", b"5\nhello\n"],
)
@pytest.mark.parametrize("step", [1, 10_000])
def test_broken_chunks(data: bytes, step: int) -> None:
    with pytest.raises(FramingError, match=r"no chunk where|no end"):
        body(data, step)


def test_endless_lines_of_chunks_and_trailers() -> None:
    for data in (b"5;" + b"x" * 2000, b"1" * 2000, b"0\r\n" + b"A: b\r\n" * 5000):
        with pytest.raises(FramingError):
            body(data, 100)


@pytest.mark.parametrize("step", [1, 50, 100_000])
def test_tiny_chunks_are_refused_after_the_first_hundred(step: int) -> None:
    few = b"1\r\nx\r\n" * framing.FREE_CHUNKS
    assert joined(body(few + b"0\r\n\r\n", step)[0]) == b"x" * framing.FREE_CHUNKS
    with pytest.raises(FramingError, match="less than 64 bytes"):
        body(few + b"1\r\nx\r\n", step)
    large = (b"40\r\n" + b"x" * 64 + b"\r\n") * 1000
    assert len(joined(body(large + b"0\r\n\r\n", 5000)[0])) == 64_000
