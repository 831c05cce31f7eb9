"""Reading a version's files, with a name for each way in which that fails."""

import codecs
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model.errors import MissingFileError, UnreadableFileError


def read_file(path: Path) -> bytes:
    """The whole file. Raises MissingFileError or UnreadableFileError, naming it."""
    with _named_errors(path):
        return path.read_bytes()


def sha256_of(path: Path) -> str:
    """A file's SHA-256 in hexadecimal, read a piece at a time: weights are large. Raises as `read_file` does."""
    with _named_errors(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def utf8(data: bytes) -> bytes:
    """Text in UTF-8, without the byte order mark that Windows' editors put before it.

    Raises ValueError, which says so, for UTF-16 and UTF-32.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)) or b"\0" in data[:4]:
        raise ValueError("it is in UTF-16 or UTF-32: save it as UTF-8")
    return data.removeprefix(codecs.BOM_UTF8)


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise MissingFileError(f"{path} is missing") from None
    except OSError as error:
        raise UnreadableFileError(f"{path} can't be read: {error.strerror}") from error
