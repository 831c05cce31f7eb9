"""What was typed."""

import shlex
import sys


def command() -> str:
    """The command line that this process runs, as manifest and report keep it."""
    return shlex.join(["python", "-m", "training", *sys.argv[1:]])
