"""What tests of every package may need."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def make_unreadable(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let listing any folder of that name fail: permissions wouldn't bind tests that run as root."""
    scan = os.scandir

    def make(name: str) -> None:
        def scandir(path: Path) -> object:
            if Path(path).name == name:
                raise PermissionError(13, "Permission denied", str(path))
            return scan(path)

        monkeypatch.setattr(os, "scandir", scandir)

    return make
