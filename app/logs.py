"""The log: one line an event and one line a request, as text for people or JSON for programs."""

import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from app.addresses import PROBES
from app.request_record import RequestRecord
from app.stderr import BoundedStderr

LogFormat = Literal["text", "json"]

log = logging.getLogger(__name__)
requests = logging.getLogger("app.requests")


def log_to_stderr(level: str, form: LogFormat) -> None:
    """Ours from `level` on; of libraries only errors, as what else they say is of what clients sent.

    Nothing that is written to sys.stderr waits from now on, by whatever way it comes.
    """
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    formatter = JsonFormatter() if form == "json" else text
    stderr = BoundedStderr(_descriptor(), _loss(formatter))
    sys.stderr = stderr
    handler = Handler(stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.captureWarnings(True)
    _log_what_nobody_catches()
    for name in ("asyncio", "opentelemetry", "py.warnings", "python_multipart", "urllib3", "uvicorn"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # to it, an odd picture is an error


def log_request(record: RequestRecord) -> None:
    """One line; for debugging alone where the route is asked every few seconds."""
    level = logging.DEBUG if record.route in PROBES else logging.INFO
    if requests.isEnabledFor(level):
        fields = record.fields()
        requests.log(level, "%s", " ".join(_pairs(fields)), extra={"fields": fields})


class Handler(logging.StreamHandler[BoundedStderr]):
    """logging.shutdown(), which Python itself calls at its end, writes what waits."""

    def close(self) -> None:
        self.stream.drain()
        super().close()


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, logger, and the message or a request's fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        line |= getattr(record, "fields", None) or {"message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _pairs(fields: dict[str, object]) -> list[str]:
    pairs = []
    for name, value in fields.items():
        if isinstance(value, dict):
            pairs += [f"{step}_{name}={number}" for step, number in value.items()]
        else:
            pairs.append(f"{name}={','.join(value) if isinstance(value, list) else value}")
    return pairs


def _descriptor() -> int:
    """Of stderr. Where it is closed, one that nothing can be written to: no connection is given its number."""
    return sys.stderr.fileno() if sys.stderr else os.open(os.devnull, os.O_RDONLY)


def _loss(formatter: logging.Formatter) -> Callable[[int, float], str]:
    """What stands where lines are missing."""

    def notice(lines: int, since: float) -> str:
        args = lines, datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds")
        text = "%d lines of the log are lost, from %s until now: stderr took none"
        return formatter.format(log.makeRecord(log.name, logging.ERROR, "", 0, text, args, None)) + "\n"

    return notice


def _log_what_nobody_catches() -> None:
    """As lines of the log, where Python would print to stderr."""
    sys.excepthook = lambda *error: log.critical("the process ends", exc_info=error)
    sys.unraisablehook = lambda hook: log.error(
        "%s: %r", hook.err_msg or "ignored", hook.object, exc_info=hook.exc_value
    )
    threading.excepthook = lambda hook: log.critical("%r ends", hook.thread, exc_info=hook.exc_value)
