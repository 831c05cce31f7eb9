"""A store elsewhere, by fsspec: a folder, an HTTP index, SFTP, an object store."""

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from app.score.urls import open_url
from model.artifact import SUMS
from model.errors import RemoteStoreError
from model.store_layout import MODEL_NAME, VERSION

_RENAMING: Final = {"file", "local", "sftp", "ssh"}
"""File systems where a folder is renamed in one step."""


class RemoteStore:
    """Folders of models, as `model.store.Store` has them. Every call may raise RemoteStoreError."""

    def __init__(self, url: str) -> None:
        """Raises UsageError where the address, or what its scheme needs, isn't there."""
        self.url = url
        self._files, root = open_url(url, skip_instance_cache=True)
        self._root = root.rstrip("/") or root

    @property
    def renames(self) -> bool:
        protocols = self._files.protocol
        return not _RENAMING.isdisjoint([protocols] if isinstance(protocols, str) else protocols)

    def models(self) -> list[str]:
        return [name for name in self._names() if MODEL_NAME.fullmatch(name)]

    def versions(self, model: str) -> list[int]:
        """Those that are whole: the sums come last."""
        return sorted(int(name) for name in self._names(model) if VERSION.fullmatch(name))

    def read(self, *steps: str) -> bytes | None:
        """A small file; None: it isn't there."""
        with self._named_errors(*steps):
            try:
                content: bytes = self._files.cat_file(self._path(*steps))
            except FileNotFoundError:
                return None
            return content

    def fetch(self, target: Path, *steps: str) -> None:
        with self._named_errors(*steps):
            self._files.get_file(self._path(*steps), str(target))

    def write(self, content: bytes, *steps: str) -> None:
        """A small file, in one step where there are renames."""
        path = self._path(*steps)
        draft = self._path(*steps[:-1], f".{steps[-1]}.draft") if self.renames else path
        with self._named_errors(*steps):
            self._files.pipe_file(draft, content)
            if draft != path:
                self._files.mv(draft, path)

    def publish(self, version: Path, names: list[str], model: str) -> None:
        """Send a version's files, `names`, the sums last of all. Begun again, it begins anew."""
        home = f".push-{version.name}" if self.renames else version.name
        with self._named_errors(model, version.name):
            if self.renames and self._files.exists(self._path(model, version.name)):
                raise FileExistsError("there is something of that name, which is no whole version")
            if self._files.exists(self._path(model, home)):
                self._files.rm(self._path(model, home), recursive=True)
            for name in [*(name for name in names if name != SUMS), SUMS]:
                target = self._path(model, home, name)
                self._files.makedirs(posixpath.dirname(target), exist_ok=True)
                self._files.put_file(str(version / name), target)
            if self.renames:
                self._files.mv(self._path(model, home), self._path(model, version.name), recursive=True)

    def _names(self, *steps: str) -> list[str]:
        """Of what may be folders there."""
        with self._named_errors(*steps):
            try:
                found = self._files.ls(self._path(*steps), detail=True)
            except FileNotFoundError:
                if steps:
                    return []
                raise
        return sorted(each["name"].rstrip("/").rsplit("/", 1)[-1] for each in found if each["type"] != "file")

    def _path(self, *steps: str) -> str:
        return "/".join([self._root, *steps])

    @contextmanager
    def _named_errors(self, *steps: str) -> Iterator[None]:
        """Each file system's library raises classes of its own."""
        try:
            yield
        except Exception as error:
            what: Any = str(error) or type(error).__name__
            raise RemoteStoreError(f"{'/'.join([self.url.rstrip('/'), *steps])}: {what}") from error
