"""Part ids: the identifier of a work piece that a client sends in the header X-Part-ID."""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote

HEADER: Final = "X-Part-ID"
_SENT: Final = re.compile(r"[\x21-\x7e]{1,128}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def check_part_id(sent: Sequence[str]) -> str | None:
    """The header's one value, unchanged; None without the header. Raises ValueError."""
    if not sent:
        return None
    if len(sent) > 1:
        raise ValueError("is there more than once")
    if not _SENT.fullmatch(sent[0]):
        raise ValueError(
            "must have 1 to 128 printable ASCII characters without spaces; write others percent-encoded in UTF-8, "
            "a space as %20"
        )
    try:
        if _CONTROL.search(part_id_text(sent[0])):
            raise ValueError("must have no control characters")
    except UnicodeDecodeError:
        raise ValueError("is percent-encoded, but not in UTF-8") from None
    return sent[0]


def part_id_text(sent: str) -> str:
    """The id percent-decoded: `part%204711` is `part 4711`. A % without two hexadecimal digits is kept."""
    return unquote(sent, errors="strict")
