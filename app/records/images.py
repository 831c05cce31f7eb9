"""Images as they were sent, in a tree of folders: DAY/HOUR/INFERENCE_ID.SUFFIX (UTC)."""

import math
import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from app.records.inference_id import milliseconds_of
from model.image import sniff

_SUFFIXES: Final = {"PNG": "png", "JPEG": "jpg", "BMP": "bmp", "TIFF": "tif", "WEBP": "webp"}

_NAME: Final = re.compile(rf"[0-9a-f]{{32}}\.({'|'.join([*_SUFFIXES.values(), 'bin'])})")


class Images:
    """Below one folder. Any call may raise OSError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, inference_id: str, image: bytes) -> str:
        """Keep an image; its path below the folder. What is there of one that failed is removed."""
        received = datetime.fromtimestamp(milliseconds_of(inference_id) / 1000, UTC)
        suffix = _SUFFIXES.get(sniff(image) or "", "bin")
        relative = f"{received:%Y-%m-%d}/{received:%H}/{inference_id}.{suffix}"
        path = self.folder / relative
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(image)
        except OSError:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise
        return relative

    def touch(self, relative: str) -> None:
        """Its record is still to be written."""
        os.utime(self.folder / relative)

    def hours(self) -> list[str]:
        """The folders of an hour, the oldest first."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.glob("????-??-??/??"))

    def older(self, hour: str, before: float) -> list[str]:
        """Images of an hour that were written, or touched, before that moment. Other files aren't among them."""
        with suppress(FileNotFoundError), os.scandir(self.folder / hour) as entries:
            return [f"{hour}/{each.name}" for each in entries if _NAME.fullmatch(each.name) and _time(each) < before]
        return []

    def read(self, relative: str) -> bytes:
        return (self.folder / relative).read_bytes()

    def remove(self, relative: str) -> None:
        """It may be gone already. Folders that are empty then go too."""
        path = self.folder / relative
        path.unlink(missing_ok=True)
        with suppress(OSError):  # another image is there, or is just coming
            path.parent.rmdir()
            path.parent.parent.rmdir()


def _time(entry: "os.DirEntry[str]") -> float:
    """When it was written; of one that has just gone: now."""
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:
        return math.inf
