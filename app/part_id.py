"""Part ids: the identifier of a work piece that a client sends in the header X-Part-ID."""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote

HEADER: Final = "X-Part-ID"
LONGEST: Final = 128
"""Characters of an id."""
LONGEST_SENT: Final = 1600
"""Characters of the header: of an id, each may be four bytes of UTF-8, and each of these is written %XX."""
_SENT: Final = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_SENT}}}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_EXTENDED: Final = re.compile(r"(?i:utf-8)'[A-Za-z0-9-]*'")
"""What a value of RFC 8187 begins with: character set and language."""


def check_part_id(sent: Sequence[str]) -> str | None:
    """The header's one value, unchanged; None without the header. Raises ValueError."""
    if not sent:
        return None
    if len(sent) > 1:
        raise ValueError("is there more than once")
    if not _SENT.fullmatch(sent[0]):
        raise ValueError(
            f"must have 1 to {LONGEST} characters: printable ASCII without spaces, others percent-encoded in UTF-8, a "
            "space as %20"
        )
    try:
        text = part_id_text(sent[0])
    except UnicodeDecodeError:
        raise ValueError("is percent-encoded, but not in UTF-8") from None
    if not 1 <= len(text) <= LONGEST:
        raise ValueError(f"must have 1 to {LONGEST} characters, not {len(text)}")
    if _CONTROL.search(text):
        raise ValueError("must have no control characters")
    return sent[0]


def part_id_text(sent: str) -> str:
    """The id percent-decoded: `part%204711` is `part 4711`, and so is `UTF-8''part%204711` (RFC 8187). A % without two
    hexadecimal digits is kept."""
    return unquote(_EXTENDED.sub("", sent, count=1) if _EXTENDED.match(sent) else sent, errors="strict")
