"""The log: one line an event and one line a request, as text for people or JSON for programs."""

import json
import logging
from datetime import UTC, datetime
from typing import Literal

from app.record import Record
from app.routes import PROBES

LogFormat = Literal["text", "json"]

requests = logging.getLogger("app.requests")


def log_to_stderr(level: str, form: LogFormat) -> None:
    """Ours from `level` on; of libraries only errors, as what else they say is of what clients sent."""
    handler = logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if form == "json" else text)
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.captureWarnings(True)
    for name in ("asyncio", "opentelemetry", "py.warnings", "python_multipart", "urllib3", "uvicorn"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # to it, an odd picture is an error


def log_request(record: Record) -> None:
    """One line; for debugging alone where the route is asked every few seconds."""
    level = logging.DEBUG if record.route in PROBES else logging.INFO
    if requests.isEnabledFor(level):
        fields = record.fields()
        requests.log(level, "%s", " ".join(_pairs(fields)), extra={"fields": fields})


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
