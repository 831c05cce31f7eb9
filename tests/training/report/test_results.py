import json
from pathlib import Path

import pytest

from model.errors import DataError
from tests.training.predictions import prediction
from training.report.results import check_writable, write_results


def test_a_row_tells_the_truth_and_the_verdict_apart(tmp_path: Path) -> None:
    """A defect that is missed, and a good part that is rejected."""
    missed = prediction("dent", 0.2, 0.3, name="dent/1.png", fold=2)
    rejected = prediction("good", 0.9, 0.3, name="good/1.png")
    write_results(tmp_path / "r.json", {"version": 1}, [missed, rejected])
    written = json.loads((tmp_path / "r.json").read_text())
    assert list(written) == ["version", "images"]
    first, second = written["images"]
    assert first.pop("probability") == pytest.approx(0.2)
    assert first == {
        "path": "dent/1.png", "kind": "dent", "target": "anomaly", "label": "good", "threshold": 0.3, "fold": 2,
    }  # fmt: skip
    assert (second["target"], second["label"]) == ("good", "anomaly")


def test_where_nothing_can_be_written_is_said_beforehand(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--json .* can't be written"):
        check_writable(tmp_path / "none" / "r.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="no folder that can be written"):
        check_writable(None, tmp_path / "file" / "report")
