"""`python -m app serve`: the service in a process of its own."""

import logging
import sys

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
    except (ConfigurationError, DeviceUnavailableError) as error:
        return _refuse(f"python -m app serve: {error}")
    _log_to_stderr(settings.log_level)
    serve(settings)
    return 0


def _log_to_stderr(level: str) -> None:
    """Ours from `level` on; of libraries only errors, as what else they say is of what clients sent."""
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.captureWarnings(True)
    for name in ("asyncio", "py.warnings", "python_multipart", "uvicorn"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # to it, an odd picture is an error


def _refuse(reason: str) -> int:
    print(reason, file=sys.stderr)  # noqa: T201
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
