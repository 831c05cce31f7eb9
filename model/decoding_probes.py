"""The libraries that decode images here, and a digest of the pixels that they decode fixed images to.

Other versions of a library may decode lossy formats to slightly different pixels. A version's manifest keeps both as
they were in training, so that a service can tell whether it decodes the same way.
"""

import base64
import hashlib
from functools import cache
from typing import Final

import PIL
import simplejpeg
from PIL import features

from model.image import decode
from model.manifest import Decoding
from model.preprocessing import Resizing

# 40×33 smooth colours: JPEG with chroma halved both ways, progressive JPEG with it halved across, lossy WebP.
_PROBES: Final = (
    (
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5aYV"
        "pQYEpRUk//2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT0//wAARCAAh"
        "ACgDASIAAhEBAxEB/8QAGgAAAgMBAQAAAAAAAAAAAAAAAAQDBQYCAf/EACcQAAEEAgEDAwUBAAAAAAAAAAEAAgMEBREhEhMUMjNxJTE1QVFh/8"
        "QAGAEAAwEBAAAAAAAAAAAAAAAAAwQFAQL/xAAmEQACAgEDAwMFAAAAAAAAAAABAwACBBESIQUxQRMyNCIzNUJx/9oADAMBAAIRAxEAPwDUWshH"
        "Rj7jyNKnlzEV89UZHCzWRys1yIsk2Alse8wAhp3taKXQN/mDxun1zEkMPM0V26yeEwNPJUGG+mSOfLwCkIGv8juOB0nbnVZjDYxs/wCJ9SsXFR"
        "Yg8W5MXerIx7Db2EWzE7blgvZ9kKDx5Y+HNKFKKG3OqyNvidV6ZkOG8EcxnI0O5ERCOUlQoSwncoVjPeMTdrmG75MZOkQPszCIb3h0Yzl09FHN"
        "owZIXxdpmutTYuSPHPLrvpP9VLVeRkhz+1c5qt5ddoHHCRVibubWOzzGclKqtorX6z3jVm3Ssu6oQNIVZQodqPW9oTgxMb9LnSJN6W7edLGV1/"
        "2yvMb7TkIQmfYlrA+aP5Cv+RHytJY9lvwhCMv4VpOzPy9JzB6UIQl0+wS233mf/9k="
    ),
    (
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdASFxOQERXRTc4UG1RV19iZ2hnPk1xeX"
        "BkeFxlZ2P/2wBDARESEhgVGC8aGi9jQjhCY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2P/wgARCAAh"
        "ACgDASEAAhEBAxEB/8QAGQAAAwEBAQAAAAAAAAAAAAAAAAIDBAEF/8QAGQEAAwEBAQAAAAAAAAAAAAAAAgMEAQAF/9oADAMBAAIQAxAAAAH0Mu"
        "TyRuzJlIjvQpahECZ1JFPpeJrjJMwy2WrTmO6AgzeSOAV//8QAHhAAAgICAwEBAAAAAAAAAAAAAQIAAxEhEjEyIiP/2gAIAQEAAQUCZ+ENoeM2"
        "RV+ctPIvYWCag7bcwY6aRCJrFfxGZWhfEDZi+7RyCJiPE6Hs9Cf/xAAgEQACAgICAgMAAAAAAAAAAAABAgADESESEwQxIzM0/9oACAEDAQE/AS"
        "nYuoH44EY7njAYxLqhnMShCJWxRNxlb3GLg6nXzPCWP8gSNVuU/bLf0iN7n//EACARAAICAgICAwAAAAAAAAAAAAACAREDIRIiEzEyM2H/2gAI"
        "AQIBAT8BSamzDilVb9JapoZagbLEJZwV9ktyxWRynqeN40L1x0JrueW9k/Aj6pF9H//EABkQAAIDAQAAAAAAAAAAAAAAAAAhEBEwIv/aAAgBAQ"
        "AGPwKKwQyjoWf/xAAbEAADAAMBAQAAAAAAAAAAAAAAAREQITEgQf/aAAgBAQABPyFCVnAFl2Vm3RJMb5Fe5r0SLYAVodGT0srgIxjFIDjxdyf/"
        "2gAMAwEAAgADAAAAEO/5jhAoLIgP/8QAGhEBAQADAQEAAAAAAAAAAAAAAQAQESExsf/aAAgBAwEBPxB9sFpbU4FzEBVtznMvGWC5AxJhtfDB9L"
        "//xAAcEQEBAAICAwAAAAAAAAAAAAABABEhMUEgUXH/2gAIAQIBAT8Q3GImFmdWviQ6jcvMTiH3xdtwGHr4anHf/8QAHRAAAwEAAgMBAAAAAAAA"
        "AAAAAAERIRAxQVFxsf/aAAgBAQABPxCtsGFfoeUem3NMQ0NYpD0aa00NhS0t+HmplZJoxoZCbOh+yIVByUt4MSfT1zDFvD3H7HXwf//Z"
    ),
    (
        "UklGRl4BAABXRUJQVlA4IFIBAAAQCQCdASooACEAPtVaoE2oJSMiONksAQAaiWwAnTKEfxSIah4gUKb/ZbrzQmdLL/YACqYKz3JuaLyQLf7BAn"
        "0ZNXGmg5wRiWT5FT70Ll90mYAA/ucsp5qv3N0q3UbCaG9QSJ0131NwF+QM9PseIktq3n08xO8/aWhOUN5RqfOjzJbuf2v4Dis+ku1sT4AfDG9T"
        "7prFZHJd77Y93fpS9Rf77mblbQmSVwLP7lMpz1ky2tc8f4uzu9bQuBE3OmhFkMPq577kgJSP7PKI1M2vQVP5G/r19xr8K7adZ25lkGMerj5xOi"
        "DJgrTHNQZdwPApXG0e2ker8cpLlAAURXlz0a5dRkolvt5EXOC3Q9odporz7YrDJ7BiKMkKvmH2hDymrhpH1GL1RUUO2nSyoFCFAaO2jNFzMHf3"
        "hZiqUzAMCbihGRWF9aCPKRQhAks38MSVO4AAAA=="
    ),
)


@cache
def decoding_here() -> Decoding:
    """The libraries of this process and their digest of the probes' pixels."""
    libraries = {
        "pillow": PIL.__version__,
        "simplejpeg": str(simplejpeg.__version__),
        "libtiff": features.version("libtiff") or "none",
        "libwebp": features.version("webp") or "none",
    }
    digest = hashlib.sha256()
    for text in _PROBES:
        data = base64.b64decode(text)
        digest.update(decode(data).tobytes())
        digest.update(Resizing(32, None, reduced=False)(data).pixels.tobytes())
        digest.update(Resizing(8, None, reduced=True)(data).pixels.tobytes())  # 33 rows become 17
    return Decoding(libraries, digest.hexdigest())


def difference(training: Decoding) -> str | None:
    """How decoding here differs from decoding in training, in words; None where it gives the same pixels."""
    here = decoding_here()
    if training.pixels_sha256 == here.pixels_sha256:
        return None
    return f"images are decoded by {_named(here)} here, to other pixels than by {_named(training)} in training"


def _named(decoding: Decoding) -> str:
    return ", ".join(f"{name} {version}" for name, version in decoding.libraries.items())
