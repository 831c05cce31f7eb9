"""From a request's body, in one of its three forms, to an image's bytes; all of it in memory."""

from dataclasses import dataclass
from typing import Final

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers

from app.admission import Body
from app.body.base64_text import decode_base64
from app.body.compression import encoding_of, expand
from app.body.json_body import read_json
from app.body.multipart import read_parts
from app.errors import BodyTooLargeError, EmptyImageError, MalformedBodyError, MissingFieldError
from model.image import sniff

FIELD: Final = "file"
IN_THE_ADDRESS: Final = ("heatmap", "regions")
"""Said there, and nowhere in a body: as a field of a form they would change nothing."""
_FORM: Final = b"application/x-www-form-urlencoded"
"""Also curl's word for every body that it sends by --data-binary."""


@dataclass(frozen=True)
class Upload:
    """A body as it came."""

    body: bytes
    content_type: str
    encoding: str
    """Of app.body.compression."""
    max_bytes: int

    @property
    def is_image(self) -> bool:
        """Whether the body itself is an image: there is nothing to take it out of."""
        return not self.encoding and sniff(self.body) is not None

    def content(self) -> bytes:
        """The body, expanded where it is compressed. Raises MalformedBodyError or BodyTooLargeError."""
        return expand(self.body, self.encoding, self.max_bytes)

    def image(self) -> bytes:
        """The encoded image in it. A body that begins like an image is one, whatever its Content-Type says.

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
        """Behind an error that says that this is no sound image: what the client may have done to it."""
        if not self.content_type.lower().startswith(_FORM.decode()):
            return ""
        return (
            f"; it came as {_FORM.decode()}: curl's -d strips line breaks from a file, and sends no form's file; "
            "use --data-binary @FILE, or -F file=@FILE"
        )


async def receive(request: Request, max_bytes: int, body: Body) -> Upload:
    """Read the body as it arrives, and no further than the limit.

    Raises UnsupportedEncodingError, BodyTooLargeError, SlowBodyError, QueueFullError or ClientDisconnect.
    """
    encoding = encoding_of(",".join(request.headers.getlist("content-encoding")))
    check_length(request, max_bytes)
    chunks = []
    async for chunk in request.stream():
        if body.size + len(chunk) > max_bytes:
            raise BodyTooLargeError(f"the request's body is larger than the limit of {max_bytes:,} bytes")
        body.grow(len(chunk))
        chunks.append(chunk)
    return Upload(b"".join(chunks), request.headers.get("content-type", ""), encoding, max_bytes)


def check_length(request: Request, max_bytes: int) -> None:
    """Raise BodyTooLargeError where the Content-Length says already that the body is too large."""
    length = declared_length(request.headers)
    if length > max_bytes:
        raise BodyTooLargeError(f"the request's body has {length:,} bytes; the limit is {max_bytes:,}")


def declared_length(headers: Headers) -> int:
    """Bytes of the body by its Content-Length; 0 where that isn't said."""
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _looks_like_json(body: bytes) -> bool:
    """Whatever is put before or between its first bytes: a byte order mark, or UTF-16's zeros."""
    return body[:64].translate(None, b"\0\xef\xbb\xbf\xfe\xff").lstrip()[:1] == b"{"


def _json_image(body: bytes) -> bytes:
    text = _only_member(_only_member(read_json(body, object), "image", "the JSON"), "b64", "image")
    if not isinstance(text, str):
        raise MalformedBodyError("image.b64 must be a string")
    try:
        return decode_base64(text)
    except ValueError as error:
        raise MalformedBodyError(f"image.b64 isn't base64: {error}") from None


def _only_member(value: object, name: str, place: str) -> object:
    if not isinstance(value, dict):
        raise MalformedBodyError(f'{place} must be an object; send {{"image": {{"b64": "…"}}}}')
    if name not in value:
        raise MissingFieldError(f'{place} has no member {name}; send {{"image": {{"b64": "…"}}}}')
    if others := sorted(value.keys() - {name}):
        raise MalformedBodyError(
            f"{place} has the member {others[0][:40]!r}, which means nothing here; parameters stand in the address"
        )
    return value[name]


def _multipart_image(body: bytes, boundary: bytes) -> bytes:
    parts = read_parts(body, boundary)
    images = [part.content for part in parts if part.name == FIELD]
    if not images:
        names = ", ".join(repr(part.name[:40]) for part in parts[:10]) + (" …" if len(parts) > 10 else "") or "none"
        raise MissingFieldError(f"the form has no field {FIELD!r} with the image; its fields: {names}")
    if len(images) > 1:
        raise MalformedBodyError(f"the form has {len(images)} fields {FIELD!r}; send one image a request")
    if misplaced := [part.name for part in parts if part.name in IN_THE_ADDRESS]:
        raise MalformedBodyError(f"{misplaced[0]} belongs in the address, as ?{misplaced[0]}=…, not in the form")
    return images[0]
