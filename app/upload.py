"""From a request's body, in one of its three forms, to an image's bytes; all of it in memory."""

import base64
import binascii
from dataclasses import dataclass
from typing import Final

from fastapi import Request
from pydantic import BaseModel, ValidationError
from python_multipart.multipart import parse_options_header

from app.admission import Body
from app.errors import BodyTooLargeError, EmptyImageError, MalformedBodyError, MissingFieldError
from app.multipart import read_parts
from model.image import sniff

FIELD: Final = "file"


class Base64Image(BaseModel):
    """An encoded image file as text."""

    b64: str


class JsonUpload(BaseModel):
    """The JSON form of an upload."""

    image: Base64Image


@dataclass(frozen=True)
class Upload:
    """A body as it came."""

    body: bytes
    content_type: str

    def image(self) -> bytes:
        """The encoded image in it. A body that begins like an image is one, whatever its Content-Type says.

        Raises MissingFieldError, MalformedBodyError or EmptyImageError.
        """
        if sniff(self.body):
            return self.body
        kind, options = parse_options_header(self.content_type)
        if kind == b"multipart/form-data":
            image = _multipart_image(self.body, options.get(b"boundary", b""))
        elif b"json" in kind or self.body[:64].lstrip()[:1] == b"{":
            image = _json_image(self.body)
        else:
            image = self.body
        if not image:
            raise EmptyImageError("the request has no image: its body, or the field with the image, is empty")
        return image


async def receive(request: Request, max_bytes: int, body: Body) -> Upload:
    """Read the body as it arrives, and no further than the limit.

    Raises BodyTooLargeError, SlowBodyError, QueueFullError or ClientDisconnect.
    """
    check_length(request, max_bytes)
    chunks = []
    async for chunk in request.stream():
        if body.size + len(chunk) > max_bytes:
            raise BodyTooLargeError(f"the request's body is larger than the limit of {max_bytes:,} bytes")
        body.grow(len(chunk))
        chunks.append(chunk)
    return Upload(b"".join(chunks), request.headers.get("content-type", ""))


def check_length(request: Request, max_bytes: int) -> None:
    """Raise BodyTooLargeError where the Content-Length says already that the body is too large."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise BodyTooLargeError(f"the request's body has {int(length):,} bytes; the limit is {max_bytes:,}")


def _json_image(body: bytes) -> bytes:
    try:
        text = JsonUpload.model_validate_json(body).image.b64
        return base64.b64decode(text, validate=True)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(step) for step in fault["loc"])
        if fault["type"] == "missing":
            raise MissingFieldError(f'the JSON has no {place}; send {{"image": {{"b64": "…"}}}}') from None
        raise MalformedBodyError(f"{place or 'the JSON'}: {fault['msg']}") from None
    except (binascii.Error, ValueError) as error:
        raise MalformedBodyError(
            f"image.b64 must be base64 alone, without line breaks or a data: prefix: {error}"
        ) from None


def _multipart_image(body: bytes, boundary: bytes) -> bytes:
    parts = read_parts(body, boundary)
    images = [content for name, content in parts if name == FIELD]
    if not images:
        names = ", ".join(repr(name[:40]) for name, _ in parts[:10]) + (" …" if len(parts) > 10 else "") or "none"
        raise MissingFieldError(f"the form has no field {FIELD!r} with the image; its fields: {names}")
    if len(images) > 1:
        raise MalformedBodyError(f"the form has {len(images)} fields {FIELD!r}; send one image a request")
    return images[0]
