"""Errors of the data set's files, which are read again while a network is trained on them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model.errors import DataError, ImageError


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Turn what reading and decoding this image raises into a DataError that names it: it was sound at the start."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} can't be read any more: {error.strerror}") from error
    except ImageError as error:
        raise DataError(f"{path}: {error}") from error
