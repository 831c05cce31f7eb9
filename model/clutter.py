"""What operating systems, file servers and tools leave in folders, and what isn't written to its end: known by name."""

from typing import Final

_CLUTTER: Final = {
    "__macosx", "__pycache__", "lost+found", "thumbs.db", "thumbs.db:encryptable", "ehthumbs.db", "ehthumbs_vista.db",
    "desktop.ini", "icon\r", "$recycle.bin", "recycler", "recycled", "system volume information", "@eadir", "@recycle",
    "@recently-snapshot", "@tmp", "#recycle", "#snapshot", "~snapshot", "network trash folder", "temporary items",
}  # fmt: skip
"""Beside these, every name that begins with a dot."""
_TEMPORARY: Final = (
    "~", ".bak", ".orig", ".tmp", ".temp", ".swp", ".part", ".partial", ".filepart", ".crdownload", ".download"
)  # fmt: skip
"""Names end so until what is written is whole, or where it is an older state."""


def is_clutter(name: str) -> bool:
    """Whether a file or folder of that name is hidden, a system's own, or temporary."""
    return name.startswith(".") or name.lower() in _CLUTTER or name.lower().endswith(_TEMPORARY)
