"""Which folders say what an image shows; what they say twice, or in two ways."""

from pathlib import Path

import pytest

from model.errors import DataError
from model.image import FORMATS
from tests.training.conftest import part_image, save
from training.data.samples import find_samples, kinds_of


def fill(root: Path, *folders: str) -> list[str]:
    """One image in each folder; what is said when they are read."""
    for i, folder in enumerate(folders):
        save(root / folder / f"{i}.png", part_image(i, defective=False))
    said: list[str] = []
    find_samples(root, say=said.append)
    return said


def test_two_names_for_good_in_two_splits_are_said(tmp_path: Path) -> None:
    assert fill(tmp_path, "train/good", "test/OK", "test/dent") == [
        "warning: test/OK, train/good are all taken for good"
    ]
    assert kinds_of(find_samples(tmp_path)) == {"good": 2, "dent": 1}


def test_two_names_for_good_beside_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="test/good and test/pass both mean good; put their images into one folder"):
        fill(tmp_path, "train/good", "test/good", "test/pass", "test/dent")


def test_good_beside_the_splits_counts_and_is_said(tmp_path: Path) -> None:
    assert fill(tmp_path, "train/good", "test/dent", "good", "dent") == [
        "warning: dent, good beside train, test or the like: their images count like those within"
    ]
    assert kinds_of(find_samples(tmp_path)) == {"good": 2, "dent": 2}


def test_an_unknown_folder_beside_the_splits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="augmented lies beside train, test or the like"):
        fill(tmp_path, "train/good", "test/dent", "augmented")


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        ("dent/good", "dent/good/2.png lies in a folder good within one of dent"),
        ("dent/OK", "dent/OK/2.png lies in a folder good within one of dent"),
        ("good/dent", "good/dent/2.png lies in a folder dent within one of good"),
    ],
)
def test_a_kind_within_another_is_refused(tmp_path: Path, inner: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fill(tmp_path, "good", "dent", inner)


def test_kinds_that_differ_in_case_are_said(tmp_path: Path) -> None:
    assert fill(tmp_path, "train/good", "train/Dent", "test/dent") == ["warning: Dent, dent count as different kinds"]


def test_images_without_a_kind_are_left_out_by_name(tmp_path: Path) -> None:
    assert fill(tmp_path, "good", "dent", "", "test") == ["left out: 2 images in no folder of a kind, as 2.png"]


def test_folders_without_images_beside_the_splits_are_no_kinds(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/manual.pdf").touch()
    assert fill(tmp_path, "train/good", "test/dent") == [
        f"left out: 1 files that are no {FORMATS} image, as docs/manual.pdf"
    ]
