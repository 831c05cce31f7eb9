"""Log format: plain text or JSON lines; one line per event and per request."""

import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Literal

from app.addresses import PROBES
from app.monitoring.request_record import RequestRecord
from app.monitoring.stderr import BoundedStderr

LogFormat = Literal["text", "json"]

log = logging.getLogger(__name__)
requests = logging.getLogger("app.requests")
_LIBRARIES: Final = (
    "alembic", "asyncio", "opentelemetry", "py.warnings", "python_multipart", "sqlalchemy", "urllib3", "uvicorn"
)  # fmt: skip


def log_to_stderr(level: str, form: LogFormat, station: str = "", line: str = "") -> None:
    """Log to stderr from `level` on, with station and line in every object of JSON; libraries only their errors, as
    their other messages quote what clients sent.

    From now on no write to sys.stderr blocks.
    """
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    formatter = JsonFormatter(station, line) if form == "json" else text
    stderr = BoundedStderr(_descriptor(), _loss(formatter))
    sys.stderr = stderr
    handler = Handler(stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.captureWarnings(True)
    _log_uncaught()
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # it logs errors about images that clients sent


def log_request(record: RequestRecord) -> None:
    """Log one line, at level debug for probes, which come every few seconds."""
    level = logging.DEBUG if record.route in PROBES else logging.INFO
    if requests.isEnabledFor(level):
        fields = record.fields()
        requests.log(level, "%s", " ".join(_pairs(fields)), extra={"fields": fields})


class Handler(logging.StreamHandler[BoundedStderr]):
    """Handler that writes waiting lines when it is closed, as Python does at its end."""

    def close(self) -> None:
        self.stream.drain()
        super().close()


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, station and line where they have names, and the message or a
    request's fields."""

    def __init__(self, station: str = "", line: str = "") -> None:
        super().__init__()
        self._names: dict[str, object] = {
            name: value for name, value in (("station", station), ("line", line)) if value
        }

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        } | self._names
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
    """File descriptor of stderr; where that is closed, one that can't be written: no connection gets its number."""
    return sys.stderr.fileno() if sys.stderr else os.open(os.devnull, os.O_RDONLY)


def _loss(formatter: logging.Formatter) -> Callable[[int, float], str]:
    """Maker of the notice that takes the place of lost lines."""

    def notice(lines: int, since: float) -> str:
        args = lines, datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds")
        text = "%d lines of the log are lost, from %s until now: stderr took none"
        return formatter.format(log.makeRecord(log.name, logging.ERROR, "", 0, text, args, None)) + "\n"

    return notice


def _log_uncaught() -> None:
    """Log uncaught exceptions, where Python would print them to stderr."""
    sys.excepthook = lambda *error: log.critical("the process ends", exc_info=error)
    sys.unraisablehook = lambda hook: log.error(
        "%s: %r", hook.err_msg or "ignored", hook.object, exc_info=hook.exc_value
    )
    threading.excepthook = lambda hook: log.critical("%r ends", hook.thread, exc_info=hook.exc_value)
