"""A part's id, as the client's own system has it: what may stand in X-Part-ID, and what it means."""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote

HEADER: Final = "X-Part-ID"
_SENT: Final = re.compile(r"[\x21-\x7e]{1,128}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def check_part_id(sent: Sequence[str]) -> str | None:
    """The header's one value, as it was sent; None: there is none. Raises ValueError."""
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
    """`part%204711` means `part 4711`. A % without two hexadecimal digits behind it stands for itself."""
    return unquote(sent, errors="strict")
