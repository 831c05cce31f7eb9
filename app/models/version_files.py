"""Files that a version brings from training and that people and the inspection page look at: its report, and where its
images count. They are given out as they lie in the store, whether the version is in memory or not."""

from typing import Final

from app.errors import NoReportError
from model.store import Store

MAX_BYTES: Final = 20_000_000


def read_version_file(store: Store, model: str, version: int, name: str) -> bytes:
    """Raises NoReportError, or what Store.path raises."""
    folder = store.path(model, version)
    path = folder / name
    absent = f"version {version} of model {model!r} has no {path.name}"
    try:
        if not path.resolve(strict=True).is_relative_to(folder.resolve()):  # a link would give out any file
            raise NoReportError(absent)
        if path.stat().st_size > MAX_BYTES:
            raise NoReportError(f"{absent} of {MAX_BYTES} bytes at most")
        return path.read_bytes()
    except OSError:
        raise NoReportError(absent) from None
