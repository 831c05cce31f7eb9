"""Files elsewhere, by fsspec: s3://, gs://, abfs://, sftp://, https:// …"""

import re
from collections.abc import Iterator
from typing import Any, Final

from app.score.errors import NoVerdictError, StoppedError, UsageError
from model.clutter import is_clutter

_SCHEME: Final = re.compile("[A-Za-z][A-Za-z0-9+.-]+://")
"""Of two characters and more: one is a drive."""


def is_url(path: str) -> bool:
    return _SCHEME.match(path) is not None


def check_url(url: str) -> None:
    """Raises UsageError where nothing is there, or what its scheme needs is missing."""
    files, path = open_url(url)
    try:
        there = bool(files.glob(path)) if "*" in path else files.exists(path)
    except Exception as error:
        raise UsageError(f"{url} can't be read: {_reason(error)}") from error
    if not there:
        raise UsageError(f"{url} is not there")


def files_at(url: str) -> Iterator[str]:
    """Every file below a folder, sorted and left alone as in a folder here; of a pattern with * what matches, else the
    file itself. An HTTP address is a folder's if it ends in a slash.

    Raises StoppedError where a folder can't be listed: its files would be missed.
    """
    files, path = open_url(url)
    whole = url.rstrip("/")
    before = whole.removesuffix(path.strip("/"))
    try:
        for match in sorted(files.glob(path)) if "*" in path else [path]:
            for file in _walk(files, match) if _is_folder(files, match) else [match]:
                if is_url(file):
                    yield file
                else:  # with user and host, which a file system's own names are without
                    yield files.unstrip_protocol(file) if before == whole else before + file.lstrip("/")
    except Exception as error:
        raise StoppedError(f"{url} can't be listed: {_reason(error)}") from error


def read_url(url: str, max_bytes: int | None) -> bytes:
    """As `app.score.files.read_image`. Raises NoVerdictError."""
    try:
        files, path = open_url(url)
        size = None if max_bytes is None else files.size(path)
        content: bytes = (
            files.cat_file(path, start=0, end=max_bytes + 1)
            if max_bytes is not None and size is not None and size > max_bytes
            else files.cat_file(path)
        )
    except Exception as error:
        raise NoVerdictError("unreadable-file", f"{url} can't be read: {_reason(error)}") from error
    return content


def open_url(url: str, **options: Any) -> tuple[Any, str]:
    """File system, which is kept for the next call unless fsspec's options say otherwise, and the path in it. Raises
    UsageError where the address, or what its scheme needs, isn't there."""
    try:
        import fsspec
    except ImportError as error:
        raise UsageError(f"{url} needs the packages of camspector[fleet]: {error}") from None
    try:
        files, path = fsspec.core.url_to_fs(url, use_listings_cache=False, **options)
    except (ImportError, ValueError, OSError) as error:
        raise UsageError(f"{url} can't be used: {error}") from None
    return files, path


def _walk(files: Any, folder: str) -> Iterator[str]:
    entries = [entry for entry in files.ls(folder, detail=True) if entry["name"].strip("/") != folder.strip("/")]
    for name in sorted(map(_marked, entries)):
        if is_clutter(name.rstrip("/")) or name.startswith("?"):  # a web server's index, sorted otherwise
            continue
        path = f"{folder.rstrip('/')}/{name}"
        if name.endswith("/"):
            yield from _walk(files, path)
        else:
            yield path


def _marked(entry: dict[str, Any]) -> str:
    """The name, of a folder with a slash behind it."""
    name: str = entry["name"].rstrip("/").rsplit("/", 1)[-1]
    return f"{name}/" if entry["type"] == "directory" else name


def _is_folder(files: Any, path: str) -> bool:
    return path.endswith("/") if is_url(path) else bool(files.isdir(path))


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
