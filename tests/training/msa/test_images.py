"""The folders of a study, and everything that can be wrong with them."""

from pathlib import Path

import pytest

from model.errors import DataError
from tests.training.conftest import part_image, save
from training.msa.images import find_study


def write(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        save(root / name, part_image(number, defective=False))
    return root


FULL = tuple(f"{trial}/{kind}/{part}.png" for trial in "12" for kind, part in (("ok", "a"), ("dent", "b")))


def test_a_part_is_found_in_every_trial_and_station(tmp_path: Path) -> None:
    found = find_study(write(tmp_path, *(f"{station}/{name}" for station in ("left", "right") for name in FULL)))
    assert (found.stations, found.trials, found.parts) == (["left", "right"], ["1", "2"], ["a", "b"])
    assert found.kinds == ["good", "dent"]
    assert [(image.station, image.trial, image.part, image.sample.kind) for image in found.images[:3]] == [
        ("left", "1", "a", "good"),
        ("left", "1", "b", "dent"),
        ("left", "2", "a", "good"),
    ]


def test_one_station_needs_no_folder_and_suffixes_may_differ(tmp_path: Path) -> None:
    root = write(tmp_path, "1/ok/a.png", "1/dent/b.bmp", "2/ok/a.bmp", "2/dent/b.png")
    told: list[str] = []
    (root / "1" / "notes.txt").write_text("by Ann")
    found = find_study(root, told.append)
    assert (found.stations, found.parts) == (["station"], ["a", "b"])
    assert len(told) == 1
    assert "1/notes.txt" in told[0]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "holds no image; it must hold TRIAL/KIND/PART.png"),
        (("ok/a.png",), "ok/a.png lies 1 folders deep"),
        (("x/left/1/ok/a.png",), "x/left/1/ok/a.png lies 4 folders deep"),
        ((*FULL, "left/1/ok/a.png"), "differ in depth"),
        (FULL[:2], "one trial, 1: agreement needs every part imaged at least twice"),
        (("1/ok/a.png", "2/ok/a.png"), "only one class is there"),
        (("1/dent/a.png", "2/dent/a.png"), "only one class is there"),
        (FULL[:3], "1 images are missing, as that of part b in trial 2 of station station"),
        ((*FULL, "2/ok/a.bmp"), "part a is there 2 times in trial 2 of station station"),
        ((*FULL[:2], "2/dent/a.png", FULL[3]), "part a is good and dent"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_study(write(tmp_path, *names))


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere is not a folder"):
        find_study(tmp_path / "nowhere")
