"""JPEG (ITU-T T.81): the segments that make the pixels, decoded by libjpeg-turbo, which stops at the first damage.

Pillow calls the same library, but drops its warnings: what can't be decoded would be gray. Pixels are equal to the bit.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from model.codecs.exif import orientation
from model.codecs.limits import MAX_SEGMENTS, check_size, more_than_limit
from model.codecs.mpf import refuse_further_images
from model.codecs.reduction import reduction
from model.codecs.stored import StoredImage
from model.errors import UnsupportedFormatError

MAX_SCANS: Final = 100
"""Scans at most; each is a pass over all pixels, and encoders make a dozen at most."""

_DHT, _SOI, _EOI, _SOS, _DQT, _DRI, _APP0, _APP1, _APP2, _APP14 = (
    0xC4, 0xD8, 0xD9, 0xDA, 0xDB, 0xDD, 0xE0, 0xE1, 0xE2, 0xEE,
)  # fmt: skip
_TABLES: Final = (_DHT, _DQT, _DRI)
_SEQUENTIAL: Final = {0xC0, 0xC1}
_PROGRESSIVE: Final = {0xC2}
_ARITHMETIC: Final = {0xC9, 0xCA}
_NAMES: Final = {0xC3: "lossless JPEG", 0xCB: "lossless JPEG", 0xF7: "JPEG-LS"}
_HIERARCHICAL: Final = {0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF, 0xDE, 0xDF}
_ALONE: Final = {0x01, _SOI, *range(0xD0, 0xD8)}  # no length follows
_END: Final = b"\xff\xd9"
_NOISE: Final = np.random.default_rng(0).integers(1, 255, 256, dtype=np.uint8).tobytes()
_MARKER: Final = re.compile(rb"\xff[^\x00\xff]")
_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_ADOBE: Final = b"Adobe\0d\0\0\0\0"
_COLOURS: Final = {1: "GRAY", 3: "RGB", 4: "CMYK"}
# So many zero bytes are 85 coefficients of -1 in a row, or more: a lost packet, not an image.
_ZEROS: Final = bytes(32)


@dataclass
class Frame:
    """The parsed segments. `kept` are those that a decoder needs, as they are or mended."""

    width: int = 0
    height: int = 0
    process: int = 0
    """The marker of its SOF: how it is coded."""
    components: Sequence[int] = ()
    """Their identifiers."""
    kept: list[bytes] = field(default_factory=list)
    exif: bytes = b""
    xmp: bytes = b""
    extras: list[tuple[int, bytes]] = field(default_factory=list)
    """APP1 and APP2 with their offsets."""
    missing: dict[int, list[int]] = field(default_factory=dict)
    """Lowest bit that has come of each of 64 coefficients, by component; 0 for all bits, -1 for none."""
    scans: int = 0
    first_symbols: dict[int, int] = field(default_factory=dict)
    """Meaning of zero bits in each Huffman table for AC coefficients."""
    adobe: bytearray = field(default_factory=bytearray)


def read(data: bytes, max_pixels: int, least: int | None = None) -> StoredImage:
    """Decode a JPEG; with `least`, reduced as `reduction` says, by a smaller cosine transform.

    Raises ImageTooLargeError, MultipleFramesError, UnsupportedFormatError, or ValueError.
    """
    frame = parse(data, max_pixels)
    refuse_further_images(data, frame.extras)
    pixels = decode(frame, 1 if least is None else reduction(frame.width, frame.height, least))
    if len(frame.components) == 4:  # as Adobe writes them: inverted
        size = (pixels.shape[1], pixels.shape[0])
        image = Image.frombuffer("CMYK", size, pixels, "raw", "CMYK;I", 0, 1)
    else:
        image = Image.fromarray(pixels)
    return StoredImage(image, orientation(frame.exif, frame.xmp), (frame.width, frame.height))


def decode(frame: Frame, factor: int = 1) -> NDArray[np.uint8]:
    """H×W for gray, H×W×3 for RGB, H×W×4 for CMYK; sides `factor` times smaller. Raises ValueError."""
    colour = _COLOURS[len(frame.components)]
    height, width = frame.height // factor, frame.width // factor
    stream = b"".join(frame.kept)
    pixels: NDArray[np.uint8]
    try:
        pixels = simplejpeg.decode_jpeg(stream + _END, colour, min_height=height, min_width=width)
    except ValueError as error:
        if "Could not determine subsampling" in str(error):
            return _reduced(_unusually_sampled(stream), factor)
        if "extraneous bytes before marker 0xd9" not in str(error):
            raise
        # Some cameras fill up with zeros after the image. If it is whole without them, it is whole.
        filled = stream.rstrip(b"\0") + _END
        pixels = simplejpeg.decode_jpeg(filled, colour, min_height=height, min_width=width)
    return pixels[..., 0] if colour == "GRAY" else pixels


def _reduced(pixels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Means of factor×factor pixels, as is done with other formats."""
    return np.asarray(Image.fromarray(pixels).reduce(factor))


def _unusually_sampled(stream: bytes) -> NDArray[np.uint8]:
    """Decode by Pillow, where simplejpeg doesn't take the channels' sampling factors, 3×1 for example.

    If the coded pixels suffice, none depends on what follows them.
    """
    found = []
    for following in (b"", _NOISE):
        with io.BytesIO(stream + following + _END) as file:
            image = Image.open(file, formats=["JPEG"])
            found.append(np.asarray(image))
    if not np.array_equal(found[0], found[1]):
        raise ValueError("premature end of its pixels")
    return 255 - found[0] if image.mode == "CMYK" else found[0]  # which Pillow inverts


def parse(data: bytes, max_pixels: int, transform: int | None = None) -> Frame:
    """Walk the segments to the image's end, which may be the file's. Raises as `read` does.

    `transform`: Adobe's number of the colour transform, where a container says it; None: as the segments say.
    """
    frame = Frame(kept=[b"\xff\xd8"])
    if transform is not None:
        frame.adobe = bytearray(_ADOBE + bytes((transform,)))
    ends = _ends_of_scans(data)
    at = 2
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(data, at)
        if found is None:
            break
        code, at = data[found.end() - 1], found.end()
        if code == _EOI:
            break
        if code in _ALONE:
            continue
        if code < 0xC0:
            raise ValueError(f"it has an unknown segment {code:#04x}")
        size = int.from_bytes(data[at : at + 2])
        body = data[at + 2 : at + size]
        if size < 2 or len(body) < size - 2:
            raise ValueError(f"its segment {code:#04x} goes beyond the end")
        at += size
        if code == _SOS:
            end = int(ends[np.searchsorted(ends, at)])
            _add_scan(frame, body, data[at:end])
            at = end
            if frame.process in _SEQUENTIAL and _is_complete(frame):
                break
        else:
            if transform is None or code not in (_APP0, _APP14):
                _add_segment(frame, code, body, at - len(body), max_pixels)
    else:
        raise more_than_limit("segments")
    if not frame.scans:
        raise ValueError("it has no pixels")
    if not _is_complete(frame):
        raise ValueError("passes over the pixels are missing")
    return frame


def _add_segment(frame: Frame, code: int, body: bytes, at: int, max_pixels: int) -> None:
    if code in _NAMES:
        raise UnsupportedFormatError(f"a {_NAMES[code]}; send a baseline or progressive JPEG")
    if code in _HIERARCHICAL:
        raise UnsupportedFormatError("a hierarchical JPEG; send a baseline or progressive JPEG")
    if code in _ARITHMETIC:  # where its data break off, zeros are to be read, so a cut can't be told from an end
        raise UnsupportedFormatError("an arithmetic-coded JPEG; send a baseline or progressive JPEG")
    if code in _SEQUENTIAL | _PROGRESSIVE:
        _add_frame(frame, code, body, max_pixels)
    elif code == _APP1 and body.startswith(b"Exif\0\0"):
        frame.exif += body[6:]
    elif code == _APP1 and body.startswith(_XMP):
        frame.xmp = body[len(_XMP) :]
    if code in (_APP1, _APP2):
        frame.extras.append((at, body))
    elif code == _APP0 and body.startswith(b"JFIF\0") and len(body) >= 14:
        mended = bytearray(body)
        mended[5] = 1  # libjpeg warns of other versions, and reads them all the same
        frame.kept.append(_segment(code, mended))
    elif code == _APP14 and body.startswith(b"Adobe") and len(body) >= 12:
        frame.adobe = bytearray(body)
    elif code in _TABLES:
        frame.kept.append(_segment(code, body))
        if code == _DHT:
            frame.first_symbols |= _first_symbols(body)


def _add_frame(frame: Frame, code: int, body: bytes, max_pixels: int) -> None:
    if frame.process:
        raise ValueError("it has two frames")
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:
        raise ValueError("its frame's header is broken")
    if body[0] != 8:
        raise UnsupportedFormatError(f"a {body[0]}-bit JPEG; send one of 8 bits")
    frame.height, frame.width = int.from_bytes(body[1:3]), int.from_bytes(body[3:5])
    if frame.width and not frame.height:
        raise UnsupportedFormatError("a JPEG whose height stands after its pixels (DNL); send it with its height")
    check_size(frame.width, frame.height, max_pixels)
    if body[5] not in _COLOURS:
        raise UnsupportedFormatError(f"a JPEG of {body[5]} channels; send gray, RGB or CMYK")
    frame.process, frame.components = code, body[6::3]
    frame.missing = {component: [-1] * 64 for component in frame.components}
    frame.kept.append(_segment(code, body))


def _add_scan(frame: Frame, body: bytes, coded: bytes) -> None:
    if not frame.process or not body or len(body) != 4 + 2 * body[0]:
        raise ValueError("a scan's header is broken")
    frame.scans += 1
    if frame.scans > MAX_SCANS:
        raise more_than_limit("scans", MAX_SCANS)
    if frame.scans == 1 and frame.adobe:
        if frame.adobe[11]:  # a transform: YCCK of four channels, else YCbCr, whatever its number
            frame.adobe[11] = 2 if len(frame.components) == 4 else 1
        frame.kept.append(_segment(_APP14, frame.adobe))
    header = bytearray(body)
    if frame.process in _SEQUENTIAL:
        header[-3:] = (0, 63, 0)  # some encoders leave these bytes to chance; they mean nothing here
        tables = {table & 15 for table in header[2:-3:2]}
        if any(map(frame.first_symbols.get, tables)) and _has_lost_packet(coded):
            raise ValueError("a stretch of zeros stands where its pixels should be")
    first, last, low = header[-3], header[-2], header[-1] & 15
    for component in header[1:-3:2]:
        if component in frame.missing and last < 64:
            frame.missing[component][first : last + 1] = [low] * (last + 1 - first)
    frame.kept += [_segment(_SOS, header), coded]


def _has_lost_packet(coded: bytes) -> bool:
    """Whether zeros stand between coded pixels; those at the end are a filling."""
    zeros = coded.find(_ZEROS)
    return zeros >= 0 and bool(coded[zeros:].strip(b"\0"))


def _is_complete(frame: Frame) -> bool:
    """A progressive image without its last passes is a blur, and libjpeg takes it for whole."""
    return not any(any(bits) for bits in frame.missing.values())


def _ends_of_scans(data: bytes) -> NDArray[np.intp]:
    """Every offset where a scan would end: a marker that is no restart, or the file's end."""
    values = np.frombuffer(data, np.uint8)
    offsets = np.flatnonzero(values[:-1] == 0xFF)
    codes = values[offsets + 1]
    within = (codes == 0) | (codes == 0xFF) | ((codes >= 0xD0) & (codes <= 0xD7))
    return np.append(offsets[~within], len(data))


def _first_symbols(tables: bytes) -> dict[int, int]:
    """The symbol whose code is all zeros, by number of each table for AC coefficients; 0 is the end of a block."""
    found, at = {}, 0
    while at + 17 < len(tables):
        if tables[at] & 0x10:
            found[tables[at] & 15] = tables[at + 17]
        at += 17 + sum(tables[at + 1 : at + 17])
    return found


def _segment(code: int, body: bytes | bytearray) -> bytes:
    return b"".join([bytes((0xFF, code)), (len(body) + 2).to_bytes(2), body])
