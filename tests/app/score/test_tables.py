"""Rows as CSV, JSON lines and Parquet: the same cells in all three, to the digit."""

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from app.score.errors import NoVerdictError, UsageError
from app.score.row import Row, columns
from app.score.tables import writer_for

REPLY: dict[str, Any] = {
    "label": "anomaly",
    "probability": 0.1 + 0.2,
    "decision": "review",
    "inspectable": False,
    "odd": [{"check": "sharpness", "value": 0.1, "limit": [None, 1.0]}, {"check": "appearance", "value": 2.0}],
    "typicality": 1 / 3,
    "log_odds": -1e-300,
    "thresholds": {"review": 0.3, "label": 0.42, "reject": 0.6},
    "model": "widget",
    "model_version": 3,
    "image": {"width": 96, "height": 48},
    "regions": [{"box": {"left": 1, "top": 2, "width": 3, "height": 4}, "area_percent": 1.5, "score": 0.9}],
}
TIMES = {"decode": 1.5, "queue": 0.0, "predict": 80.25, "render": 2.0}
ROWS = [
    Row("lot 7/a, \"b\"\n.png", REPLY, timing_ms=TIMES),
    Row.of_error("c.png", NoVerdictError("undecodable-image", "cut, short")),
]  # fmt: skip


def written(name: str, *, timing: bool) -> bytes:
    file = io.BytesIO()
    writer_for(Path(name))(ROWS, file, timing)
    return file.getvalue()


def test_csv() -> None:
    first, second = csv.DictReader(io.StringIO(written("v.csv", timing=False).decode(), newline=""))
    assert list(first) == list(columns(timing=False))
    assert (first["file"], first["decision"], first["odd"]) == (ROWS[0].file, "review", "sharpness appearance")
    assert (float(first["probability"]), float(first["log_odds"])) == (0.1 + 0.2, -1e-300)
    assert (first["inspectable"], first["model_version"], first["error"]) == ("false", "3", "")
    assert json.loads(first["regions"]) == REPLY["regions"]
    given = {name: cell for name, cell in second.items() if cell}
    assert given == {"file": "c.png", "error": "undecodable-image", "detail": "cut, short"}


def test_json_lines_have_the_whole_reply() -> None:
    first, second = map(json.loads, written("v.JSONL", timing=True).splitlines())
    assert first == {"file": ROWS[0].file, **REPLY, "timing_ms": TIMES}
    assert second == {"file": "c.png", "decision": None, "error": "undecodable-image", "detail": "cut, short"}


@pytest.mark.parametrize("timing", [False, True])
def test_parquet_has_the_cells_of_csv(timing: bool) -> None:
    table = pyarrow.parquet.read_table(io.BytesIO(written("v.parquet", timing=timing)))
    assert table.column_names == list(columns(timing=timing))
    first, second = table.to_pylist()
    assert (first["probability"], first["inspectable"], first["width"]) == (0.1 + 0.2, False, 96)
    assert [name for name, cell in second.items() if cell is not None] == ["file", "error", "detail"]
    assert first.get("predict_ms") == (80.25 if timing else None)


def test_other_names_are_refused() -> None:
    with pytest.raises(UsageError, match=r"v\.xlsx: the name must end in \.csv, \.jsonl, \.parquet"):
        writer_for(Path("v.xlsx"))


def test_parquet_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"camspector\[parquet\]"):
        writer_for(Path("v.parquet"))
