"""An uploaded image in one of three forms: raw, a field of a form, base64 in JSON; kept in memory."""

from dataclasses import dataclass
from typing import Final

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers

from app.body.base64_text import decode_base64
from app.body.compression import encoding_of, expand
from app.body.json_body import read_json
from app.body.multipart import read_fields
from app.errors import BodyTooLargeError, EmptyImageError, MalformedBodyError, MissingFieldError
from app.inference.admission import Body
from model.image import sniff

FIELD: Final = "file"
QUERY_PARAMETERS: Final = ("heatmap", "regions")
"""Refused as fields of a form, where they would change nothing."""
_FORM: Final = b"application/x-www-form-urlencoded"
"""Also the Content-Type that curl gives to every body sent by --data-binary."""


@dataclass(frozen=True)
class Upload:
    """A request's body as it was received."""

    body: bytes
    content_type: str
    encoding: str
    """Content-Encoding, as app.body.compression names it; empty: none."""
    max_bytes: int

    @property
    def is_image(self) -> bool:
        """Whether the body is an image as it stands, with nothing to decompress or parse."""
        return not self.encoding and sniff(self.body) is not None

    def content(self) -> bytes:
        """The body, expanded where it is compressed. Raises MalformedBodyError or BodyTooLargeError."""
        return expand(self.body, self.encoding, self.max_bytes)

    def image(self) -> bytes:
        """The encoded image in the body. One that begins like an image is an image, whatever its Content-Type.

        Raises MissingFieldError, MalformedBodyError, EmptyImageError or BodyTooLargeError.
        """
        body = self.content()
        if sniff(body):
            return body
        kind, options = parse_options_header(self.content_type)
        if kind == b"multipart/form-data":
            image = _multipart_image(body, options.get(b"boundary", b""))
        elif b"json" in kind or _looks_like_json(body):
            image = _json_image(body)
        else:
            image = body
        if not image:
            raise EmptyImageError("the request has no image: its body, or the field with the image, is empty")
        return image

    def advice(self) -> str:
        """Advice to append to the error on an undecodable image, where the client may have damaged it; else empty."""
        if not self.content_type.lower().startswith(_FORM.decode()):
            return ""
        return (
            f"; it came as {_FORM.decode()}: curl's -d strips line breaks from a file, and sends no form's file; "
            "use --data-binary @FILE, or -F file=@FILE"
        )


async def receive(request: Request, max_bytes: int, body: Body) -> Upload:
    """Receive the body, up to the limit.

    Raises UnsupportedEncodingError, BodyTooLargeError, SlowBodyError, QueueFullError or ClientDisconnect.
    """
    encoding = encoding_of(",".join(request.headers.getlist("content-encoding")))
    length = declared_length(request.headers)
    if length > max_bytes:
        raise BodyTooLargeError(f"the request's body has {length:,} bytes; the limit is {max_bytes:,}")
    chunks = []
    async for chunk in request.stream():
        if body.size + len(chunk) > max_bytes:
            raise BodyTooLargeError(f"the request's body is larger than the limit of {max_bytes:,} bytes")
        body.grow(len(chunk))
        chunks.append(chunk)
    return Upload(b"".join(chunks), request.headers.get("content-type", ""), encoding, max_bytes)


def declared_length(headers: Headers) -> int:
    """Bytes of the body by its Content-Length; 0 without one."""
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _looks_like_json(body: bytes) -> bool:
    """Whether the body begins with a brace, byte order marks and UTF-16's zero bytes skipped."""
    return body[:64].translate(None, b"\0\xef\xbb\xbf\xfe\xff").lstrip()[:1] == b"{"


def _json_image(body: bytes) -> bytes:
    text = _only_member(_only_member(read_json(body, object), "image", "the JSON"), "b64", "image")
    if not isinstance(text, str):
        raise MalformedBodyError("image.b64 must be a string")
    try:
        return decode_base64(text)
    except ValueError as error:
        raise MalformedBodyError(f"image.b64 isn't base64: {error}") from None


def _only_member(value: object, name: str, container: str) -> object:
    if not isinstance(value, dict):
        raise MalformedBodyError(f'{container} must be an object; send {{"image": {{"b64": "…"}}}}')
    if name not in value:
        raise MissingFieldError(f'{container} has no member {name}; send {{"image": {{"b64": "…"}}}}')
    if others := sorted(value.keys() - {name}):
        raise MalformedBodyError(
            f"{container} has the member {others[0][:40]!r}, which means nothing here; parameters belong in the address"
        )
    return value[name]


def _multipart_image(body: bytes, boundary: bytes) -> bytes:
    fields = read_fields(body, boundary)
    images = [field.content for field in fields if field.name == FIELD]
    if not images:
        names = ", ".join(repr(field.name[:40]) for field in fields[:10]) + (" …" if len(fields) > 10 else "") or "none"
        raise MissingFieldError(f"the form has no field {FIELD!r} with the image; its fields: {names}")
    if len(images) > 1:
        raise MalformedBodyError(f"the form has {len(images)} fields {FIELD!r}; send one image a request")
    if misplaced := [field.name for field in fields if field.name in QUERY_PARAMETERS]:
        raise MalformedBodyError(f"{misplaced[0]} belongs in the address, as ?{misplaced[0]}=…, not in the form")
    return images[0]
