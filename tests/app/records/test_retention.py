"""What goes, in which order, and what stays."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from app.records import queries
from app.records.database import open_database
from app.records.filter import Filter
from app.records.images import Images
from app.records.inspection import Target
from app.records.labelling import set_target
from app.records.retention import Retention
from app.records.writer import Entry, Writer
from tests.app.records.inspections import inspection
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
