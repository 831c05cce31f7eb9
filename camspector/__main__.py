"""The command `camspector`: the service's commands and training's, each imported when it is asked for.

An installation has app/, model/ and training/ inside this package, so that it takes nobody's own `app` or `model` away.
They import each other by those names: this folder goes first on the path, of the command's process alone.
"""

import sys
from pathlib import Path
from typing import Final

_SERVICE: Final = ("serve", "key", "score", "watch", "pull", "push")
_TRAINING: Final = ("collect", "fit", "crossval", "curve", "evaluate", "report", "msa", "challenge", "weights")
_USAGE: Final = f"""usage: camspector COMMAND …     (camspector COMMAND --help: its arguments)

the service:  {", ".join(_SERVICE)}
training:     {", ".join(_TRAINING)}
"""


def main() -> int:
    """Returns the exit status: 2 where it was called wrongly, or where what the command needs isn't installed."""
    sys.path.insert(0, str(Path(__file__).parent))
    arguments = sys.argv[1:]
    try:
        if arguments and arguments[0] in _SERVICE:
            from app.__main__ import main as service

            return service(arguments)
        if arguments and arguments[0] in _TRAINING:
            from training.__main__ import main as training

            return training(arguments)
    except ModuleNotFoundError as error:
        sys.stderr.write(f"camspector {arguments[0]}: {error}; {_needs(arguments[0])}\n")
        return 2
    asked = arguments[:1] in (["--help"], ["-h"])
    (sys.stdout if asked else sys.stderr).write(_USAGE)
    return 0 if asked else 2


def _needs(command: str) -> str:
    if command in _SERVICE:
        return "install Camspector with its extra cpu, or PyTorch beside it"
    return "training needs Camspector's extra train, PyTorch and torchvision (docs/training.md)"


if __name__ == "__main__":
    sys.exit(main())
