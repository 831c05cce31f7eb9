"""The folder of fetched weights and intermediate results."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from platformdirs import user_cache_path

from model.errors import StoreError

CACHE: Final = "CAMSPECTOR_CACHE"


def cache_folder() -> Path:
    """Path of the cache: CAMSPECTOR_CACHE, else the user's cache directory."""
    return Path(os.environ.get(CACHE) or user_cache_path("camspector"))


@contextmanager
def claimed(folder: Path, size: int, what: str, setting: str) -> Iterator[IO[bytes]]:
    """A nameless file with room for `size` bytes, which nobody else gets while it is open: quotas, read-only disks and
    missing inodes are found too. Raises StoreError, which says by which `setting` the folder is named."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):  # not on macOS
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            yield file
    except OSError as error:
        raise StoreError(
            f"{size / 1e9:.2f} GB of {what} can't be kept in {folder} ({error}); "
            f"make room, or point {setting} to another disk"
        ) from error
