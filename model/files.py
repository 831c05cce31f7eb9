"""Reading a version's files, with a name for each way in which that fails."""

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
    """In hexadecimal, a piece at a time: weights are large. Raises as `read_file` does."""
    with _named_errors(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise MissingFileError(f"{path} is missing") from None
    except OSError as error:
        raise UnreadableFileError(f"{path} can't be read: {error.strerror}") from error
