"""Formats that people send and that aren't taken, by their first bytes."""

from typing import Final

_STARTS: Final = (
    (b"GIF8", "a GIF"),
    (b"%PDF", "a PDF"),
    (b"8BPS", "a Photoshop file (PSD)"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "a JPEG XL image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"II\xbc\x01", "a JPEG XR image"),
    (b"\x76\x2f\x31\x01", "an OpenEXR image"),
    (b"#?RADIANCE", "a Radiance HDR image"),
    (b"SIMPLE  =", "a FITS file"),
    (b"FUJIFILMCCD-RAW", "a camera's raw file"),
    (b"IIU\x00", "a camera's raw file"),
    (b"IIRO", "a camera's raw file"),
    (b"IIRS", "a camera's raw file"),
    (b"MMOR", "a camera's raw file"),
    (b"\x8aMNG\r\n\x1a\n", "an MNG animation"),
    (b"\x8bJNG\r\n\x1a\n", "a JNG image"),
    (b"qoif", "a QOI image"),
    (b"\x00\x00\x01\x00", "an icon (ICO)"),
    (b"gimp xcf", "a GIMP file (XCF)"),
    (b"AT&TFORM", "a DjVu document"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"BA", "an OS/2 bitmap array"),
    *((bytes((80, digit, space)), "a PNM image") for digit in b"123456" for space in b" \n"),
)  # fmt: skip
# The brand of an ISO base media file (ISO/IEC 14496-12).
_BRANDS: Final = {
    b"avif": "an AVIF image", b"avis": "an AVIF image", b"heic": "a HEIC image", b"heix": "a HEIC image",
    b"hevc": "a HEIC image", b"hevx": "a HEIC image", b"heim": "a HEIC image", b"heis": "a HEIC image",
    b"mif1": "a HEIF image", b"msf1": "a HEIF image", b"crx ": "a camera's raw file", b"jxl ": "a JPEG XL image",
}  # fmt: skip


def name_of(data: bytes) -> str | None:
    """Name of the format of `data`, with its article; None where that isn't known."""
    if data[4:8] == b"ftyp":
        brands = [data[8:12], *(data[at : at + 4] for at in range(16, min(int.from_bytes(data[:4]), 64), 4))]
        named = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
        # "mif1" says only that it is some HEIF; another brand says which.
        return next((name for name in named if name != "a HEIF image"), named[0] if named else "a video")
    if data[128:132] == b"DICM":
        return "a DICOM file"
    if data[:4] == b"RIFF":
        return {b"AVI ": "an AVI video", b"WAVE": "a WAVE sound"}.get(data[8:12])
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"<svg") or (head.startswith((b"<?xml", b"<!doctype", b"<!--")) and b"<svg" in head):
        return "an SVG drawing"
    if head.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    return next((name for start, name in _STARTS if data.startswith(start)), None)
