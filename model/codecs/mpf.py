"""The index of further images in a JPEG (Multi-Picture Format, CIPA DC-007), and what such images are."""

import struct
from collections.abc import Iterator, Sequence
from typing import Final

from model.codecs.directory import read_directory
from model.codecs.limits import multiple_frames
from model.errors import UnsupportedFormatError

_ENTRIES: Final = 0xB002
_ENTRY_BYTES: Final = 16
_GAIN_MAPS: Final = (b"hdrgm:", b"/hdr-gain-map/", b"hdrgainmap", b"urn:iso:std:iso:ts:21496")
_HEAD: Final = 65536
"""Bytes of a further image in which it says what it is."""


def refuse_further_images(data: bytes, segments: Sequence[tuple[int, bytes]]) -> None:
    """Raise UnsupportedFormatError for a gain map, else MultipleFramesError, where a JPEG holds further images.

    `segments`: APP1 and APP2, each with its offset in `data`. An index of images that aren't there any more, as tools
    leave it behind, does no harm.
    """
    listed = [each for at, body in segments if body.startswith(b"MPF\0") for each in _offsets(body[4:], at + 4)]
    there = [offset for offset in listed if data[offset : offset + 2] == b"\xff\xd8"]
    if not there:
        return
    texts = [body for _, body in segments] + [data[offset : offset + _HEAD] for offset in there]
    if any(name in text for name in _GAIN_MAPS for text in texts):
        raise UnsupportedFormatError("a JPEG with a gain map (Ultra HDR) beside its image; send the image alone")
    raise multiple_frames()


def _offsets(index: bytes, start: int) -> Iterator[int]:
    """Offsets of the images after the first one, by an index that lies at `start`."""
    try:
        directory = read_directory(index)
    except ValueError:
        return
    entries = directory.raw(_ENTRIES)
    for at in range(_ENTRY_BYTES, len(entries) - _ENTRY_BYTES + 1, _ENTRY_BYTES):
        (offset,) = struct.unpack_from(directory.order + "I", entries, at + 8)
        if offset:  # 0 is the first image's
            yield start + offset
