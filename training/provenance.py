"""When and by what command a version or a report is made."""

import shlex
import sys
from datetime import UTC, datetime

from model.program import program


def command() -> str:
    """The command line that this process runs, as manifest and report keep it."""
    return f"{program('training')} {shlex.join(sys.argv[1:])}"


def now() -> str:
    """The time, ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
