"""Requests that are almost right: sound ones of every kind, changed at random but the same for the same number."""

import base64
import json
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from PIL import Image

from tests.support.artifacts import INPUT_SIZE, pattern
from tests.support.encoders import (
    bmp_of_runs,
    exif,
    interlaced_rows,
    pack_bits,
    png,
    progressive_scans,
    runs_of,
    tiff,
)
from tests.support.encoders import encoded as by_pillow
from tests.support.images import animation, encoded

FORMS: Final = ("PNG", "JPEG", "BMP", "TIFF", "WebP")
KINDS: Final = (*FORMS, "multipart", "JSON", "v2 JSON", "v2 binary", "headers")
_PREDICT, _INFER = "/v1/models/capsule/predict", "/v2/models/capsule/infer"
_NUMBERS: Final = (0, 1, 2, 7, 127, 128, 255, 256, 4095, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
_VALUES: Final[tuple[Any, ...]] = (
    None, True, 0, -1, 1.5, 1e308, 10**30, "", "x", "\u0000", "ä" * 50, [], {}, [[]], {"": {}}, [0] * 100,
)  # fmt: skip
_HEADERS: Final = (
    "Content-Type: multipart/form-data", "Content-Type: multipart/form-data; boundary=", "Content-Type: ;;=",
    "Content-Type: application/json; charset=utf-99", "Content-Encoding: gzip", "Content-Encoding: br",
    "Inference-Header-Content-Length: 0", "Inference-Header-Content-Length: 99999999999999999999",
    "Inference-Header-Content-Length: 10", "X-Deadline-Ms: 0", "X-Deadline-Ms: ten", "X-Deadline-Ms: 99999999",
    "X-Request-ID: " + "x" * 500, "X-Part-ID: \x01", "traceparent: 00-zz", "Accept: image/png", "Accept: \xff",
    "Accept: image/png;q=0", "Expect: 100-continue", "Upgrade: h2c", "Transfer-Encoding: gzip", "Content-Length: 5",
    "X-Forwarded-For: [::", "X-Forwarded-Proto: gopher", "Host: ", "Cookie: " + "a=b;" * 500, "Range: bytes=0-",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One request as it goes over the wire."""

    number: int
    kind: str
    data: bytes


def case(seed: int, number: int) -> Case:
    """The same for the same seed and number."""
    rng = random.Random(f"{seed}/{number}")
    kind = KINDS[number % len(KINDS)]
    return Case(number, kind, _REQUESTS[kind](rng))


def _request(path: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: fuzz", "Connection: close", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _image(rng: random.Random, form: str) -> bytes:
    """A mutated file; of a PNG, half have their checksums made right, so that what is in the chunks is read."""
    sound = rng.choice(_CORPUS[form])
    data = _mutated(rng, sound)
    return _with_checksums(data) if form == "PNG" and rng.random() < 0.5 else data


def _image_request(form: str) -> Callable[[random.Random], bytes]:
    query = ("", "?heatmap=none", "?heatmap=overlay")
    return lambda rng: _request(_PREDICT + rng.choice(query), _image(rng, form))


def _multipart(rng: random.Random) -> bytes:
    parts = [rng.choice(["file", "other", "", "fi\u0000le"]) for _ in range(rng.choice([1, 1, 1, 2, 5]))]
    body = b"".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="a.png"\r\n\r\n'.encode()
        + rng.choice(_CORPUS["JPEG"])
        + b"\r\n"
        for name in parts
    )
    body += b"--b--\r\n"
    return _request(_PREDICT, _mutated(rng, body), "Content-Type: multipart/form-data; boundary=b")


def _json(rng: random.Random) -> bytes:
    body = {"image": {"b64": base64.b64encode(rng.choice(_CORPUS["PNG"])).decode()}}
    return _request(_PREDICT, _text(rng, body), "Content-Type: application/json")


def _v2_json(rng: random.Random) -> bytes:
    return _request(_INFER, _text(rng, _v2_head(rng)), "Content-Type: application/json")


def _v2_binary(rng: random.Random) -> bytes:
    if rng.random() < 0.5:
        files = [_mutated(rng, each) if rng.random() < 0.3 else each for each in rng.choices(_EVERY, k=2)]
        chunk = b"".join(struct.pack("<I", len(file)) + file for file in files)
    else:
        chunk = rng.randbytes(2 * INPUT_SIZE * INPUT_SIZE * 3)
    head = _v2_head(rng)
    head["parameters"]["binary_data_output"] = True
    for tensor in head["inputs"]:
        del tensor["data"]
        tensor["parameters"] = {"binary_data_size": len(chunk)}
    text = _text(rng, head) if rng.random() < 0.5 else json.dumps(head).encode()
    chunk = _mutated(rng, chunk) if rng.random() < 0.5 else chunk
    length = len(text) + (rng.choice([0, 0, 0, 1, -1, 100]))
    return _request(_INFER, text + chunk, f"Inference-Header-Content-Length: {length}")


def _v2_head(rng: random.Random) -> dict[str, Any]:
    if rng.random() < 0.5:
        data: Any = [base64.b64encode(rng.choice(_EVERY)).decode() for _ in range(2)]
        tensor = {"name": "image", "datatype": "BYTES", "shape": [2], "data": data}
    else:
        data = [rng.randrange(256)] * (2 * INPUT_SIZE * INPUT_SIZE * 3)
        tensor = {"name": "pixels", "datatype": "UINT8", "shape": [2, INPUT_SIZE, INPUT_SIZE, 3], "data": data}
    outputs = [{"name": name} for name in ("label", "probability", "decision", "anomaly_map", "heatmap")]
    return {"id": "1", "inputs": [tensor], "outputs": rng.sample(outputs, 3), "parameters": {"a": 1}}


def _headers(rng: random.Random) -> bytes:
    """A sound body under odd headers, or a head with odd bytes."""
    body = rng.choice(_EVERY)
    sound = _request(rng.choice([_PREDICT, _INFER, "/predict", "/v2", "/%ff/..//"]), body, *rng.sample(_HEADERS, 3))
    if rng.random() < 0.5:
        return sound
    head, blank, rest = sound.partition(b"\r\n\r\n")
    return _mutated(rng, head) + blank + rest


def _text(rng: random.Random, body: Any) -> bytes:
    """JSON, changed in its structure, in its bytes, or in both."""
    if rng.random() < 0.7:
        _change_a_member(rng, body)
    text = json.dumps(body).encode()
    return _mutated(rng, text) if rng.random() < 0.4 else text


def _change_a_member(rng: random.Random, body: Any) -> None:
    """Somewhere on the way down from the top, put something else, or leave it out."""
    while True:
        keys = list(body) if isinstance(body, dict) else list(range(min(len(body), 3)))
        if not keys:
            return
        key = rng.choice(keys)
        if isinstance(body[key], dict | list) and body[key] and rng.random() < 0.7:
            body = body[key]
            continue
        if rng.random() < 0.3:
            del body[key]
        else:
            body[key] = rng.choice(_VALUES)
        return


def _mutated(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
        if changed:
            rng.choice(_MUTATIONS)(rng, changed)
    return bytes(changed)


def _position(rng: random.Random, data: bytearray) -> int:
    """Mostly near the beginning: that is where headers are."""
    return rng.randrange(min(len(data), rng.choice([32, 128, 1024, len(data)])))


def _flip(rng: random.Random, data: bytearray) -> None:
    data[_position(rng, data)] ^= 1 << rng.randrange(8)


def _overwrite(rng: random.Random, data: bytearray) -> None:
    start = _position(rng, data)
    data[start : start + rng.choice([1, 2, 4, 16])] = rng.randbytes(rng.choice([1, 2, 4, 16]))


def _number(rng: random.Random, data: bytearray) -> None:
    start, form = _position(rng, data), rng.choice(["<I", ">I", "<H", ">H"])
    new = struct.pack(form, rng.choice(_NUMBERS) & (0xFFFF if form[1] == "H" else 0xFFFFFFFF))
    data[start : start + len(new)] = new


def _cut(rng: random.Random, data: bytearray) -> None:
    del data[_position(rng, data) :]


def _remove(rng: random.Random, data: bytearray) -> None:
    start = _position(rng, data)
    del data[start : start + rng.choice([1, 4, 64])]


def _repeat(rng: random.Random, data: bytearray) -> None:
    start = _position(rng, data)
    data[start:start] = data[start : start + rng.choice([1, 8, 64])] * rng.choice([1, 2, 50])


def _splice(rng: random.Random, data: bytearray) -> None:
    other = rng.choice(_EVERY)
    data[_position(rng, data) :] = other[rng.randrange(len(other)) :]


_MUTATIONS: Final = (_flip, _flip, _overwrite, _number, _number, _cut, _remove, _repeat, _splice)


def _with_checksums(data: bytes) -> bytes:
    """A PNG's chunks with the CRC that their content has."""
    fixed, start = bytearray(data[:8]), 8
    while start + 12 <= len(data):
        end = start + 8 + struct.unpack_from(">I", data, start)[0]
        if end + 4 > len(data):
            break
        fixed += data[start:end] + struct.pack(">I", zlib.crc32(data[start + 4 : end]))
        start = end + 4
    return bytes(fixed + data[start:])


def _corpus() -> dict[str, list[bytes]]:
    """35 kinds of sound image, and one that is an animation."""
    colour, gray = pattern(1, 48), pattern(2, 33)[..., 0]
    deep = gray.astype(np.uint16) * 257
    levels = (gray // 64).astype(np.uint8)
    image = Image.fromarray(colour)
    turned = exif(6)
    corpus = {form: [encoded(form, seed=1, size=64), encoded(form, brightness=100, size=33)] for form in FORMS}
    corpus["PNG"] += [
        by_pillow(deep, "PNG"),
        by_pillow(image.convert("P"), "PNG"),
        by_pillow(image.convert("RGBA"), "PNG"),
        by_pillow(image.convert("LA"), "PNG"),
        by_pillow(image, "PNG", exif=turned, icc_profile=bytes(200)),
        png(33, 33, 8, 0, interlaced_rows(gray), interlace=1),
    ]
    corpus["JPEG"] += [
        by_pillow(image, "JPEG", progressive=True, subsampling="4:2:0"),
        by_pillow(image, "JPEG", subsampling="4:4:4", restart_marker_blocks=2),
        by_pillow(image.convert("CMYK"), "JPEG"),
        by_pillow(image, "JPEG", exif=b"Exif\0\0" + turned, comment=b"x" * 100),
        progressive_scans(20),
    ]
    corpus["BMP"] += [
        by_pillow(image.convert("P"), "BMP"),
        by_pillow(image.convert("1"), "BMP"),
        bmp_of_runs(33, 33, runs_of(levels), bytes(4 * 4)),
    ]
    corpus["TIFF"] += [
        tiff(colour, rows=7, compression=8, pack=zlib.compress),
        tiff(colour, tile=(16, 16), compression=32946, pack=zlib.compress),
        tiff(gray, compression=32773, pack=pack_bits, rows=5),
        tiff(deep, order=">", photometric=0),
        tiff(deep, big=True, predictor=2),
        tiff(gray, big=True, order=">"),
        tiff(levels, bits=2),
        tiff(colour, planar=True, rows=8),
        by_pillow(image, "TIFF", compression="tiff_lzw"),
        by_pillow(image, "TIFF", compression="jpeg"),
        by_pillow(image.convert("RGBA"), "TIFF", compression="lzma"),
    ]
    corpus["WebP"] += [
        by_pillow(image, "WEBP", lossless=True),
        by_pillow(image.convert("RGBA"), "WEBP", exif=turned),
        animation("WEBP"),
    ]
    return corpus


_CORPUS: Final = _corpus()
_EVERY: Final = [image for images in _CORPUS.values() for image in images]
_REQUESTS: Final[dict[str, Callable[[random.Random], bytes]]] = {form: _image_request(form) for form in FORMS} | {
    "multipart": _multipart,
    "JSON": _json,
    "v2 JSON": _v2_json,
    "v2 binary": _v2_binary,
    "headers": _headers,
}
