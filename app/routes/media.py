"""Which of the forms of a reply a client asks for."""

import re
from collections.abc import Sequence

from fastapi import Request


def preferred(request: Request, forms: Sequence[str]) -> str:
    """The first of `forms`, media types, that the Accept header names; the first of all where it names none.

    Quality 0 means not acceptable (RFC 9110, section 12.4.2); other qualities don't count.
    """
    accepted = set()
    for each in request.headers.get("accept", "").lower().split(","):
        media_type, *parameters = (piece.strip() for piece in each.split(";"))
        if not any(re.fullmatch(r"q=0(\.0*)?", parameter) for parameter in parameters):
            accepted.add(media_type)
    return next((form for form in forms if form in accepted), forms[0])
