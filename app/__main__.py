"""`serve`: the service in a process of its own. `key`: a new API key for it. `score`, `watch`: verdicts on
files, without it. `pull`, `push`: versions from and to another store."""

import argparse
import logging
import sys
from collections.abc import Callable, Mapping
from typing import Final

from app.connection.server import end, serve
from app.fleet.cli import pull_arguments, push_arguments
from app.middleware.keys import ROLES, KeysError, new_key
from app.score.cli import score_arguments
from app.score.errors import StoppedError
from app.settings import ConfigurationError, read_settings
from app.standard_streams import open_closed_streams
from app.watch.cli import watch_arguments
from model.engines.devices import choose_device
from model.errors import CamspectorError, DeviceUnavailableError, KeyFileError
from model.program import program

log = logging.getLogger("app")

_USAGE: Final = """usage: {0} serve --store DIR (--help: every setting)
       {0} key --role ROLE --name NAME
       {0} score PATH… --store DIR --out FILE
       {0} watch DIR --store DIR --out FILE
       {0} pull --from URL --store DIR
       {0} push --to URL --store DIR"""
_INTERRUPTED: Final = 130
_DATED: Final = "%(asctime)s %(levelname)s %(message)s"


def main(arguments: list[str]) -> int:
    """Returns the exit status: 2 where it was called wrongly."""
    open_closed_streams()
    command, flags = arguments[:1], arguments[1:]
    if command in (["--help"], ["-h"]):
        command, flags = ["serve"], ["--help"]
    run = _COMMANDS.get(*command) if command else None
    return run(flags) if run else _refuse(_USAGE.format(program("app")))


def _serve(flags: list[str]) -> int:
    try:
        settings = read_settings(flags)
        if settings.device == "cuda":
            choose_device(settings.device)
        serve(settings)
    except (ConfigurationError, DeviceUnavailableError, KeyFileError, KeysError) as error:
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


def _score(flags: list[str]) -> int:
    arguments = score_arguments(flags)
    from app.score.command import score

    return _run(
        "score", lambda: score(arguments), logging.WARNING, "%(levelname)s %(message)s", "; --resume goes on with it"
    )


def _watch(flags: list[str]) -> int:
    arguments = watch_arguments(flags)
    from app.watch.command import watch

    return _run("watch", lambda: watch(arguments), logging.INFO, _DATED)


def _pull(flags: list[str]) -> int:
    arguments = pull_arguments(flags)
    from app.fleet.command import pull

    return _run("pull", lambda: pull(arguments), logging.INFO, _DATED)


def _push(flags: list[str]) -> int:
    arguments = push_arguments(flags)
    from app.fleet.command import push

    return _run("push", lambda: push(arguments), logging.INFO, "%(message)s")


def _run(command: str, work: Callable[[], int], level: int, log_format: str, advice: str = "") -> int:
    """The exit status of what can be ended in the middle."""
    logging.basicConfig(format=log_format, level=level)
    name = f"{program('app')} {command}"
    try:
        return work()
    except (StoppedError, OSError) as error:
        _refuse(f"{name}: {error}{advice}")
        return 1
    except (ConfigurationError, CamspectorError) as error:
        return _refuse(f"{name}: {error}")
    except KeyboardInterrupt:
        _refuse(f"{name}: interrupted{advice}")
        end(_INTERRUPTED)  # a thread may be reading a list that nobody goes on writing


def _refuse(reason: str) -> int:
    print(reason, file=sys.stderr)  # noqa: T201
    return 2


_COMMANDS: Final[Mapping[str, Callable[[list[str]], int]]] = {
    "serve": _serve,
    "key": _key,
    "score": _score,
    "watch": _watch,
    "pull": _pull,
    "push": _push,
}
PARSERS: Final[Mapping[str, Callable[[list[str]], argparse.Namespace]]] = {
    "key": key_arguments,
    "score": score_arguments,
    "watch": watch_arguments,
    "pull": pull_arguments,
    "push": push_arguments,
}
"""Arguments of the commands; `serve` has the settings."""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
