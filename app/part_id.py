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
_HEX: Final = "[0-9A-Fa-f]"
_NEXT: Final = f"%[89ABab]{_HEX}"
_CHARACTERS: Final = (
    f"[!-$&-~]|%(?!{_HEX}{_HEX})",
    f"%(?:[2-6]{_HEX}|7[0-9A-Ea-e])",
    f"%[Cc]2%[ABab]{_HEX}|%(?:[Cc][3-9A-Fa-f]|[Dd]{_HEX}){_NEXT}",
    f"%[Ee]0%[ABab]{_HEX}{_NEXT}|%[Ee][1-9A-Ca-cEFef]{_NEXT}{_NEXT}|%[Ee][Dd]%[89]{_HEX}{_NEXT}",
    f"%[Ff]0%[9ABab]{_HEX}{_NEXT}{_NEXT}|%[Ff][1-3]{_NEXT}{_NEXT}{_NEXT}|%[Ff]4%8{_HEX}{_NEXT}{_NEXT}",
)
"""Printable ASCII, a % that begins no code, and what is no control character in UTF-8 (RFC 3629, section 4), each byte
percent-encoded."""
PATTERN: Final = f"^(?:[Uu][Tt][Ff]-8'[A-Za-z0-9-]*')?(?:{'|'.join(_CHARACTERS)}){{1,{LONGEST}}}$"
"""For OpenAPI: what `check_part_id` takes."""
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
