"""What was typed."""

import shlex
import sys

from model.program import program


def command() -> str:
    """The command line that this process runs, as manifest and report keep it."""
    return f"{program('training')} {shlex.join(sys.argv[1:])}"
