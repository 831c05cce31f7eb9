"""The report that a version brings from training: two files that people and the inspection page read."""

from typing import Final, Literal

from app.errors import NoReportError
from model.store import Store

ReportFile = Literal["report.html", "report.json"]
MAX_BYTES: Final = 20_000_000


def read_report(store: Store, model: str, version: int, name: ReportFile) -> bytes:
    """Raises NoReportError, or what Store.path raises."""
    folder = store.path(model, version)
    path = folder / "report" / name
    absent = f"version {version} of model {model!r} has no {name}"
    try:
        if not path.resolve(strict=True).is_relative_to(folder.resolve()):  # a link would give out any file
            raise NoReportError(absent)
        if path.stat().st_size > MAX_BYTES:
            raise NoReportError(f"{absent} of {MAX_BYTES} bytes at most")
        return path.read_bytes()
    except OSError:
        raise NoReportError(absent) from None
