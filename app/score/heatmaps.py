"""Files of heatmaps and overlays, in folders like those of the images."""

import base64
import os
from pathlib import Path

from app.score.urls import is_url


def heatmap_path(folder: Path, file: str) -> Path:
    """`folder`/parts/a.jpg.png for parts/a.jpg; what isn't below the current folder has its whole path there, and what
    is elsewhere its address: s3/bucket/a.jpg.png."""
    relative = os.path.relpath(file.replace("://", "/") if is_url(file) else file)
    if relative.startswith(".."):
        relative = os.path.abspath(file).lstrip("/")
    return folder / f"{relative}.png"


def write_heatmap(folder: Path, file: str, png: str) -> None:
    """Whole or not at all; `png` in base64. Raises OSError."""
    path = heatmap_path(folder, file)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(base64.b64decode(png))
    os.replace(draft, path)
