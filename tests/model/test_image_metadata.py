"""Sound images whose metadata is odd are read, upright; what a file holds beside its pixels does them no harm."""

import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model.codecs.exif import orientation
from model.errors import MultipleFramesError, UnsupportedFormatError
from model.image import decode
from tests.support import encoders
from tests.support.encoders import chunk, encoded, segment, with_segments

UPRIGHT = np.zeros((24, 40), np.uint8)
UPRIGHT[:8, :16] = 255
TURNED = np.ascontiguousarray(np.rot90(UPRIGHT))  # as orientation 6 stores it
ROWS = encoders.png_rows(UPRIGHT)

ODD_TAGS: dict[str, dict[int, Any]] = {
    "XResolution as text": {282: (2, b"72 dpi\0")},
    "Make as a number": {271: (4, [7])},
    "a rational over zero": {282: (5, [1, 0])},
    "an unknown type": {282: (77, b"????")},
    "a GPS block beyond the end": {0x8825: (4, [1 << 30])},
    "values beyond the end": {270: (2, b"x" * 50)},
}


def stored(form: str, exif: bytes) -> bytes:
    if form == "JPEG":
        return with_segments(encoded(TURNED, form, quality=100), segment(0xE1, b"Exif\0\0" + exif))
    return encoded(TURNED, form, exif=exif, **({"lossless": True} if form == "WEBP" else {}))


def is_upright(data: bytes) -> bool:
    pixels = np.asarray(decode(data).convert("L"), dtype=int)
    return pixels.shape == UPRIGHT.shape and bool(np.abs(pixels - UPRIGHT).max() <= 8)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("odd", ODD_TAGS)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_only_the_orientation_is_read(form: str, odd: str, order: str) -> None:
    encoders.TAG_TYPES.setdefault(77, "s")
    assert is_upright(stored(form, encoders.exif(6, ODD_TAGS[odd], order)))


def test_orientation_of_odd_blocks() -> None:
    assert orientation(b"") == 1
    assert orientation(b"II*\0") == 1
    assert orientation(encoders.exif(9)) == 1
    assert orientation(encoders.exif(6)) == 6
    assert orientation(encoders.exif(3)[:-4]) == 3  # cut after the tag
    assert orientation(b"Exif\0\0" + encoders.exif(8, order=">")) == 8
    assert orientation(encoders.exif(1, {274: (2, b"6\0")})) == 1
    assert orientation(encoders.exif(1, {274: (4, [6])})) == 6
    assert orientation(b"", b'<x tiff:Orientation="6"/>') == 6
    assert orientation(encoders.exif(1), b'<x tiff:Orientation="6"/>') == 1


def test_a_tiff_is_turned_once() -> None:
    assert is_upright(encoders.tiff(TURNED, tags={274: (3, [6]), 282: (2, b"72 dpi\0")}))
    assert is_upright(encoders.tiff(TURNED, compression=8, pack=zlib.compress, tags={274: (3, [6])}))


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP", b"tEXt"])
def test_a_png_with_megabytes_of_text_or_profile(kind: bytes, where: str) -> None:
    bulk = zlib.compress(bytes(3_000_000))
    body = {
        b"zTXt": b"Comment\0\0" + bulk, b"iTXt": b"XML:com.adobe.xmp\0\1\0\0\0" + bulk, b"iCCP": b"sRGB\0\0" + bulk,
        b"tEXt": b"Comment\0" + bytes(3_000_000),
    }[kind]  # fmt: skip
    text: dict[str, Any] = {where: chunk(kind, body)}
    data = encoders.png(40, 24, 8, 0, ROWS, **text)
    assert np.array_equal(np.asarray(decode(data)), UPRIGHT)


@pytest.mark.parametrize("kind", [b"tEXt", b"gAMA", b"pHYs", b"iCCP", b"tIME", b"eXIf"])
def test_a_wrong_checksum_of_an_ancillary_chunk(kind: bytes) -> None:
    for where in ("before", "after"):
        wrong: dict[str, Any] = {where: chunk(kind, b"abcd\0efgh", wrong_sum=True)}
        data = encoders.png(40, 24, 8, 0, ROWS, **wrong)
        assert np.array_equal(np.asarray(decode(data)), UPRIGHT)


@pytest.mark.parametrize(
    "body",
    [
        b"tEXtRaw profile type exif\0",
        b"zTXtRaw profile type exif\0\0",
        b"iTXtXML:com.adobe.xmp\0\0\0\0\0",
        b"iTXtXML:com.adobe.xmp\0\1\0\0\0",
    ],
)
def test_orientation_as_text_in_a_png(body: bytes) -> None:
    text = b'<rdf:Description tiff:Orientation="6"/>'
    if b"exif" in body:
        profile = encoders.exif(6)
        text = b"\nexif\n" + b"%8d\n" % len(profile) + profile.hex().encode() + b"\n"
    packed = body.startswith(b"zTXt") or body.endswith(b"\1\0\0\0")
    note = chunk(body[:4], body[4:] + (zlib.compress(text) if packed else text))
    assert is_upright(encoders.png(24, 40, 8, 0, encoders.png_rows(TURNED), before=note))


def test_transparency_in_a_png_changes_no_pixel() -> None:
    data = encoders.png(40, 24, 8, 0, ROWS, before=chunk(b"tRNS", b"\0\0"))
    assert np.array_equal(np.asarray(decode(data)), UPRIGHT)


# Further images


def with_index(first: bytes, *further: bytes, gone: bool = False) -> bytes:
    """A JPEG with an index of images behind it; `gone`: a tool has cut them off."""
    index_at = 2 + 4 + 4
    size = len(segment(0xE2, encoders.mpf_index([0] * (len(further) + 1))))
    offset, offsets = len(first) + size - index_at, [0]
    for image in further:
        offsets.append(offset)
        offset += len(image)
    whole = with_segments(first, segment(0xE2, encoders.mpf_index(offsets)))
    return whole if gone else whole + b"".join(further)


JPEG = encoded(UPRIGHT, "JPEG")


def test_an_index_of_images_that_are_gone() -> None:
    assert np.array_equal(np.asarray(decode(with_index(JPEG, JPEG, gone=True))), np.asarray(decode(JPEG)))
    assert np.array_equal(np.asarray(decode(with_index(JPEG))), np.asarray(decode(JPEG)))


def test_images_that_are_there_are_too_many() -> None:
    with pytest.raises(MultipleFramesError, match="more than one frame"):
        decode(with_index(JPEG, JPEG))
    with pytest.raises(MultipleFramesError, match="more than one frame"):
        decode(encoded(Image.fromarray(UPRIGHT), "MPO", save_all=True, append_images=[Image.fromarray(UPRIGHT)]))


def test_a_gain_map_is_named() -> None:
    xmp = segment(0xE1, b'http://ns.adobe.com/xap/1.0/\0<rdf hdrgm:Version="1.0"/>')
    iso = segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0")
    for second in (with_segments(JPEG, xmp), with_segments(JPEG, iso)):
        with pytest.raises(UnsupportedFormatError, match="gain map"):
            decode(with_index(JPEG, second))


def test_a_next_page_beyond_the_file_is_no_page() -> None:
    for offset in (1 << 30, 3, 8):
        assert np.array_equal(np.asarray(decode(encoders.tiff(UPRIGHT, next_page=offset))), UPRIGHT)
    two = encoded(Image.fromarray(UPRIGHT), "TIFF", save_all=True, append_images=[Image.fromarray(UPRIGHT)])
    with pytest.raises(MultipleFramesError):
        decode(two)


# What libjpeg warns of in sound images


def test_harmless_oddities_of_jpegs() -> None:
    rgb = np.random.default_rng(2).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    plain = encoded(rgb, "JPEG", quality=90)
    wanted = np.asarray(decode(plain))
    scan = plain.index(b"\xff\xda")
    parameters = scan + 2 + int.from_bytes(plain[scan + 2 : scan + 4]) - 3
    odd = {
        "unknown JFIF version": plain.replace(b"JFIF\0\1\1", b"JFIF\0\7\1"),
        "scan parameters left to chance": plain[:parameters] + b"\1\2\3" + plain[parameters + 3 :],
        "unknown Adobe transform": plain[:2] + segment(0xEE, b"Adobe\0d\0\0\0\0\7") + plain[20:],
        "a bad ICC profile": with_segments(plain, segment(0xE2, b"ICC_PROFILE\0\7\2junk")),
        "bytes after the end": plain + b"trailer" * 100,
        "fill bytes before a marker": plain[:scan] + b"\xff" * 5 + plain[scan:],
        "junk between segments": plain[:scan] + b"junk" + plain[scan:],
        "an EXIF block that is none": with_segments(plain, segment(0xE1, b"Exif\0\0nothing")),
    }
    for name, data in odd.items():
        assert data != plain, name
        assert np.array_equal(np.asarray(decode(data)), wanted), name
