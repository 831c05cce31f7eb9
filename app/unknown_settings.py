"""The environment variables that look like the service's, and set nothing."""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Final

PREFIX: Final = "CAMSPECTOR_"
_LINK: Final = re.compile(r"(^|_)(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$")
"""The end of what Kubernetes, and Docker's old links, set in every container beside a service of that name."""
_OTHERS: Final = {"CACHE"}
"""Training's."""


def unknown_variables(environment: Mapping[str, str], settings: Collection[str]) -> list[str]:
    """In words, those that have the prefix and are no setting's; in small letters or large, as settings are."""
    known = {name.upper() for name in settings}
    found = []
    for variable in sorted(environment):
        name = variable.upper().removeprefix(PREFIX)
        if not variable.upper().startswith(PREFIX) or name in known | _OTHERS or _LINK.search(name):
            continue
        meant = "".join(f"; meant: {PREFIX}{close}?" for close in get_close_matches(name, known, 1))
        found.append(f"{variable} is in the environment, but is no setting{meant}")
    return found
