"""How this process was called, as usage texts and the manifest say it."""

import sys
from pathlib import Path


def program(package: str) -> str:
    """`camspector` where that command is installed, else `python -m` with `app` or `training`."""
    called = Path(sys.argv[0])
    return "camspector" if "camspector" in (called.name, called.parent.name) else f"python -m {package}"
