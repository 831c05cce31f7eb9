"""A run that was ended goes on behind its last whole row."""

from pathlib import Path

import pytest

from app.score.errors import UsageError
from app.score.journal import Journal, Run
from app.score.row import Row
from app.score.tables import write_jsonl

RUN = Run("widget", 1, "local")
ROWS = [Row(f"{number}.png", error="e", detail="ä" * number) for number in range(4)]


def began(output: Path, count: int = len(ROWS)) -> Path:
    """The journal's file, of a run that was ended after so many rows."""
    with Journal(output, resume=False) as journal:
        journal.begin(RUN)
        for row in ROWS[:count]:
            journal.append(row)
    return journal.path


def test_ended_at_any_byte(tmp_path: Path) -> None:
    whole = began(tmp_path / "whole.jsonl").read_bytes()
    output, outputs = tmp_path / "v.jsonl", set()
    for length in range(len(whole) + 1):
        Journal.path_of(output).write_bytes(whole[:length])
        with Journal(output, resume=True) as journal:
            journal.begin(RUN)
            files = iter([row.file for row in ROWS])
            skipped = journal.skip(files)
            assert skipped == max(0, whole[:length].count(b"\n") - 1)
            for row in ROWS[skipped:]:
                journal.append(row)
            journal.publish(write_jsonl, journal.rows())
        outputs.add(output.read_bytes())
        output.unlink()
    assert len(outputs) == 1
    assert [path.name for path in tmp_path.iterdir()] == [".whole.jsonl.part"]


def test_zeros_at_the_end_as_a_power_cut_leaves_them(tmp_path: Path) -> None:
    path = began(tmp_path / "v.jsonl", 2)
    path.write_bytes(path.read_bytes() + bytes(500))
    with Journal(tmp_path / "v.jsonl", resume=True) as journal:
        assert [*journal.rows()] == ROWS[:2]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["0.png", "x.png", "2.png"], "file 2 was 1.png, now it is x.png"),
        (["0.png"], "file 2 was 1.png, now it is none"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, names: list[str], found: str) -> None:
    began(tmp_path / "v.csv", 2)
    with Journal(tmp_path / "v.csv", resume=True) as journal, pytest.raises(UsageError, match=found):
        journal.skip(iter(names))


def test_another_version_is_refused(tmp_path: Path) -> None:
    began(tmp_path / "v.csv")
    with Journal(tmp_path / "v.csv", resume=True) as journal, pytest.raises(UsageError, match="version 1, now 2"):
        journal.begin(Run("widget", 2, "local"))


def test_nothing_is_written_over(tmp_path: Path) -> None:
    output = tmp_path / "v.csv"
    began(output)
    with pytest.raises(UsageError, match=r"was begun: --resume .* remove .*\.v\.csv\.part"):
        Journal(output, resume=False)
    Journal.path_of(output).unlink()
    output.touch()
    with pytest.raises(UsageError, match="is there already"):
        Journal(output, resume=False)


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with Journal(tmp_path / "v.csv", resume=False), pytest.raises(UsageError, match="another run writes"):
        Journal(tmp_path / "v.csv", resume=True)


def test_without_a_row_nothing_is_left(tmp_path: Path) -> None:
    began(tmp_path / "v.csv", 0)
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be written: No such file"):
        Journal(tmp_path / "nowhere" / "v.csv", resume=False)
