"""Reading a version's files, with a name for each way in which that fails."""

from pathlib import Path

from model.errors import MissingFileError, UnreadableFileError


def read_file(path: Path) -> bytes:
    """The whole file. Raises MissingFileError or UnreadableFileError, naming it."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise MissingFileError(f"{path} is missing") from None
    except OSError as error:
        raise UnreadableFileError(f"{path} can't be read: {error.strerror}") from error
