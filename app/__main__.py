"""`serve`: the service in a process of its own. `key`: a new API key for it."""

import argparse
import logging
import sys
from typing import Final

from app.connection.server import serve
from app.middleware.keys import ROLES, KeysError, new_key
from app.settings import ConfigurationError, read_settings
from app.standard_streams import open_closed_streams
from model.engines.devices import choose_device
from model.errors import DeviceUnavailableError
from model.program import program

log = logging.getLogger("app")

_USAGE: Final = """usage: {0} serve --store DIR (--help: every setting)
       {0} key --role ROLE --name NAME"""


def main(arguments: list[str]) -> int:
    """Returns the exit status: 2 where it was called wrongly."""
    open_closed_streams()
    command, flags = arguments[:1], arguments[1:]
    if command == ["key"]:
        return _key(flags)
    if command in (["--help"], ["-h"]):
        flags = ["--help"]
    elif command != ["serve"]:
        return _refuse(_USAGE.format(program("app")))
    try:
        settings = read_settings(flags)
        if settings.device == "cuda":
            choose_device(settings.device)
        serve(settings)
    except (ConfigurationError, DeviceUnavailableError, KeysError) as error:
        return _refuse(f"{program('app')} serve: {error}")
    return 0


def key_arguments(flags: list[str]) -> argparse.Namespace:
    """`role` and `name`. --help and wrong flags raise SystemExit."""
    parser = argparse.ArgumentParser(
        prog=f"{program('app')} key", description="Make an API key. It is shown only once."
    )
    parser.add_argument(
        "--role",
        required=True,
        choices=ROLES,
        help="label may also label what is recorded, admin also change models",
    )
    parser.add_argument("--name", required=True, help="whose it is, for the log")
    return parser.parse_args(flags)


def _key(flags: list[str]) -> int:
    asked = key_arguments(flags)
    try:
        secret, key = new_key(asked.role, asked.name)
    except KeysError as error:
        return _refuse(f"{program('app')} key: {error}")
    print(f"for the client:    {secret}")  # noqa: T201
    print(f"for the keys file: {key.line}")  # noqa: T201
    return 0


def _refuse(reason: str) -> int:
    print(reason, file=sys.stderr)  # noqa: T201
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
