"""`python -m app serve`: the service in a process of its own."""

import sys

from app.logs import log_to_stderr
from app.server import serve
from app.settings import ConfigurationError, read_settings
from model.engines.devices import choose_device
from model.errors import DeviceUnavailableError


def main(arguments: list[str]) -> int:
    """Returns the exit status: 2 where it was called wrongly."""
    command, flags = arguments[:1], arguments[1:]
    if command in (["--help"], ["-h"]):
        flags = ["--help"]
    elif command != ["serve"]:
        return _refuse("usage: python -m app serve --store DIR (--help: every setting)")
    try:
        settings = read_settings(flags)
        if settings.device == "cuda":
            choose_device(settings.device)
        log_to_stderr(settings.log_level, settings.log_format)
        serve(settings)
    except (ConfigurationError, DeviceUnavailableError) as error:
        return _refuse(f"python -m app serve: {error}")
    return 0


def _refuse(reason: str) -> int:
    print(reason, file=sys.stderr)  # noqa: T201
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
