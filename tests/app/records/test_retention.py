"""What goes, in which order, and what stays."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from app.records import queries
from app.records.database import open_database
from app.records.filter import Filter
from app.records.images import Images
from app.records.inference_id import new_inference_id
from app.records.inspection import Target
from app.records.labelling import set_target
from app.records.leftovers import LEFT_SECONDS
from app.records.retention import Retention
from app.records.tables import inspections
from app.records.writer import Entry, Writer
from tests.app.records.inspections import inspection
from tests.app.records.test_writer import break_database, wait
from tests.support.process import PATIENCE

DAY = 86_400


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(str(tmp_path), "normal")
    yield engine
    engine.dispose()


def keep(writer: Writer, days_ago: float, *, labelled: bool = False) -> str:
    """A image of 100 bytes."""
    entry = Entry(inspection(at=time.time() - DAY * days_ago), bytes(100))
    writer.put(entry)
    assert entry.done.result(PATIENCE)
    inference_id = entry.inspection.inference_id
    if labelled:
        target = Target("good", None, 0, None)
        writer.change(lambda connection: set_target(connection, inference_id, target, None)).result(PATIENCE)
    return inference_id


def retained(
    tmp_path: Path, engine: Engine, writer: Writer, max_bytes: int = 10**9, image_days: int | None = None,
    days: int | None = None,
) -> tuple[list[str], list[str]]:  # fmt: skip
    """Ids of records and of images that are left, the oldest first. Files and rows say the same."""
    Retention(engine, writer, Images(tmp_path / "images"), max_bytes, image_days, days).round()
    with engine.connect() as connection:
        page = queries.page(connection, Filter(), 1000)[::-1]
        kept = [each for each in page if each.image_path]
        assert queries.kept_bytes(connection) == 100 * len(kept)
    files = sorted(path.stem for path in (tmp_path / "images").rglob("*.bin"))
    assert files == sorted(each.inspection.inference_id for each in kept)
    return [each.inspection.inference_id for each in page], [each.inspection.inference_id for each in kept]


def test_oldest_images_go_first_and_records_stay(tmp_path: Path, engine: Engine, writer: Writer) -> None:
    ids = [keep(writer, days) for days in (3, 2, 1, 0)]
    assert retained(tmp_path, engine, writer, max_bytes=250) == (ids, ids[2:])
    assert retained(tmp_path, engine, writer, max_bytes=0) == (ids, [])
    assert list((tmp_path / "images").iterdir()) == []  # nor are there empty folders


def test_labelled_images_go_last(tmp_path: Path, engine: Engine, writer: Writer) -> None:
    ids = [keep(writer, days, labelled=days > 1) for days in (3, 2, 1, 0)]
    assert retained(tmp_path, engine, writer, max_bytes=300)[1] == [ids[0], ids[1], ids[3]]
    assert retained(tmp_path, engine, writer, max_bytes=100)[1] == [ids[1]]


def test_old_images_go_but_for_labelled_ones(tmp_path: Path, engine: Engine, writer: Writer) -> None:
    ids = [keep(writer, 5, labelled=True), keep(writer, 4), keep(writer, 1)]
    assert retained(tmp_path, engine, writer, image_days=2) == (ids, [ids[0], ids[2]])


def test_old_records_go_with_their_images(tmp_path: Path, engine: Engine, writer: Writer) -> None:
    ids = [keep(writer, 5, labelled=True), keep(writer, 4), keep(writer, 1)]
    assert retained(tmp_path, engine, writer, days=2) == (ids[2:], ids[2:])


def test_more_than_a_step(tmp_path: Path, engine: Engine, writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.records.retention.STEP", 2)
    monkeypatch.setattr("app.records.retention.PAUSE_SECONDS", 0.0)
    ids = [keep(writer, days) for days in (7, 6, 5, 4, 3, 0)]
    assert retained(tmp_path, engine, writer, max_bytes=100) == (ids, ids[5:])
    assert retained(tmp_path, engine, writer, days=1)[0] == ids[5:]


def test_a_image_that_somebody_removed_does_no_harm(tmp_path: Path, engine: Engine, writer: Writer) -> None:
    ids = [keep(writer, 1), keep(writer, 0)]
    (path,) = (tmp_path / "images").rglob(f"{ids[0]}.bin")
    path.unlink()
    assert retained(tmp_path, engine, writer, max_bytes=100)[1] == ids[1:]


def left_behind(tmp_path: Path, seconds: float, name: str | None = None, hour: str = "2026-11-26/06") -> Path:
    """A file that no record names, written so many seconds ago."""
    path = tmp_path / "images" / hour / (name or f"{new_inference_id(round(1000 * time.time()))}.bin")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(100))
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def test_what_a_kill_left_behind_goes(tmp_path: Path, engine: Engine, writer: Writer) -> None:
    """But nothing that a record names, that may still be being written, or that is somebody else's."""
    ids = [keep(writer, 3), keep(writer, 0)]
    for path in (tmp_path / "images").rglob("*.bin"):
        os.utime(path, (0, 0))
    old, other = left_behind(tmp_path, 700), left_behind(tmp_path, 700, hour="2026-11-25/23")
    fresh, foreign = left_behind(tmp_path, 500), left_behind(tmp_path, 700, "README.txt")
    half_removed = next((tmp_path / "images").rglob(f"{ids[0]}.bin"))  # its row was changed, and then came a kill
    writer.change(
        lambda connection: connection.execute(
            update(inspections).where(inspections.c.inference_id == ids[0]).values(image_path=None)
        )
    ).result(PATIENCE)
    retention = Retention(engine, writer, Images(tmp_path / "images"), 10**9, None, None)
    for _ in list((tmp_path / "images").glob("*/*")):
        retention.round()
    left = {path for path in (tmp_path / "images").rglob("*") if path.is_file()}
    assert {old, other, half_removed} & left == set()
    assert {fresh, foreign} < left
    assert len(left) == 3
    assert next(path for path in left if path.stem == ids[1])
    os.utime(fresh, (0, 0))
    for _ in range(5):
        retention.round()
    assert not fresh.exists()


def test_what_waits_for_the_database_is_not_left_behind(tmp_path: Path, engine: Engine, writer: Writer) -> None:
    """However long: its file is touched with every attempt."""
    keep(writer, 0)
    works = break_database(engine)
    entry = Entry(inspection(), bytes(100))
    writer.put(entry)
    wait(lambda: entry.image_path)
    path = tmp_path / "images" / str(entry.image_path)
    os.utime(path, (0, 0))
    wait(lambda: time.time() - path.stat().st_mtime < LEFT_SECONDS)
    works.set()
    assert entry.done.result(PATIENCE)
    assert path.exists()
