"""A file of state that survives a restart: read once, replaced whole."""

import logging
import os
import tempfile
from pathlib import Path
from threading import Lock, Thread
from typing import Final, Generic, TypeVar

import msgspec

from app.monitoring.log_once import LogOnce

log = logging.getLogger(__name__)

T = TypeVar("T")
_DRAFT: Final = ".draft-"


class StateFile(Generic[T]):
    """`folder`/`name`, of the form `kind`. Without a folder nothing is kept."""

    def __init__(self, folder: Path | None, name: str, kind: type[T]) -> None:
        self._path = folder / name if folder else None
        self._kind = kind
        self._warnings = LogOnce(log)
        self._lock = Lock()
        self._waiting: bytes | None = None
        self._thread: Thread | None = None

    def read(self, default: T) -> T:
        """`default` where there is none; one that can't be used is kept under another name, and the log says so."""
        if self._path is None:
            return default
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=self._kind)
        except FileNotFoundError:
            return default
        except (msgspec.MsgspecError, ValueError, OSError) as error:
            broken = self._path.with_suffix(".broken")
            log.error("%s can't be used, and its state begins anew; it is kept as %s: %s", self._path, broken, error)
            if self._path.is_file():
                self._path.replace(broken)
            return default

    def write(self, content: bytes) -> None:
        """Whole or not at all, by a thread of its own; of what comes meanwhile the last. From any thread."""
        with self._lock:
            self._waiting = content
            if self._path is not None and not self._thread:
                self._thread = Thread(target=self._write_all, args=[self._path], name="state", daemon=True)
                self._thread.start()

    def flush(self, seconds: float) -> None:
        """Wait until it is written, so long at most."""
        if thread := self._thread:
            thread.join(seconds)

    def _write_all(self, path: Path) -> None:
        while True:
            with self._lock:
                content, self._waiting = self._waiting, None
                if content is None:
                    self._thread = None
                    return
            self._replace(path, content)

    def _replace(self, path: Path, content: bytes) -> None:
        """What fails is in the log, once."""
        try:
            descriptor, draft = tempfile.mkstemp(prefix=_DRAFT, dir=path.parent)
            with open(descriptor, "wb") as file:
                file.write(content)
                os.fsync(descriptor)
            os.replace(draft, path)
        except OSError as error:
            self._warnings.update({f"{path} can't be written, and would be lost with a restart: {error.strerror}"})
        else:
            self._warnings.update(set())
