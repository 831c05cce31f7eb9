"""Where files go by their decision, and how they get there: never over another file, and whole."""

import errno
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Destinations:
    """Folders by decision; a decision without one leaves its files where they are."""

    folders: Mapping[str, Path]
    copy: bool = False
    """Whether the files stay, too."""

    def choose(self, decision: str | None, relative: str, taken: set[str]) -> str | None:
        """A path for a file; what has no verdict is to be looked at, as what is to be reviewed. None: it stays.

        `taken`: paths that are chosen already, and not there yet.
        """
        folder = self.folders.get(decision or "review")
        if folder is None:
            return None
        stem, suffix = os.path.splitext(os.path.join(os.path.abspath(folder), relative))
        path, number = stem + suffix, 1
        while path in taken or os.path.lexists(path):
            number += 1
            path = f"{stem}-{number}{suffix}"
        return path

    def send(self, source: str, destination: str) -> None:
        """Raises OSError. Called again after it was broken off, it does the rest.

        A decision's folder that has vanished isn't made: it may be a disk that isn't mounted now.
        """
        root = next(
            os.path.abspath(folder)
            for folder in self.folders.values()
            if destination.startswith(os.path.abspath(folder) + os.sep)
        )
        os.scandir(root).close()
        os.makedirs(os.path.dirname(destination), exist_ok=True)
        if not self.copy:
            try:
                os.rename(source, destination)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
            else:
                return
        if not os.path.lexists(destination):
            _copy(source, destination)
        if not self.copy:
            os.unlink(source)


def _copy(source: str, destination: str) -> None:
    """Under its name only when it is whole."""
    descriptor, draft = tempfile.mkstemp(prefix=".draft-", dir=os.path.dirname(destination))
    os.close(descriptor)
    try:
        shutil.copy2(source, draft)
        os.replace(draft, destination)
    except OSError:
        os.unlink(draft)
        raise
