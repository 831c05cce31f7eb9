"""ELPV's labels.csv."""

from pathlib import Path

import pytest

from model.errors import DataError
from tests.training.conftest import part_image, save
from training.data.samples import find_samples, kinds_of


@pytest.mark.parametrize("inside", ["", "data"])
def test_elpv_as_it_comes(tmp_path: Path, inside: str) -> None:
    home = tmp_path / inside
    rows = []
    cells = [(0.0, "mono"), (0.3333333333333333, "poly"), (0.6666666666666666, "mono"), (1.0, "poly")]
    for i, (probability, kind) in enumerate(cells):
        save(home / "images" / f"cell{i:04}.png", part_image(i, defective=probability > 0.5).convert("L"))
        rows.append(f"images/cell{i:04}.png  {probability}   {kind}")
    (home / "labels.csv").write_text("\n".join(rows) + "\n")
    assert kinds_of(find_samples(tmp_path)) == {"good": 2, "defect-mono": 1, "defect-poly": 1}


@pytest.mark.parametrize(
    "row", ["images/a.png", "images/a.png much mono", "images/missing.png 1.0 mono", "images/a.png nan mono"]
)
def test_a_bad_elpv_row_is_named(tmp_path: Path, row: str) -> None:
    (tmp_path / "labels.csv").write_text(row)
    with pytest.raises(DataError, match=r"labels\.csv, line 1"):
        find_samples(tmp_path)


def test_labels_that_are_no_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"images/\xe9.png 1.0 mono")
    with pytest.raises(DataError, match=r"labels\.csv can't be read"):
        find_samples(tmp_path)


def write_cells(root: Path, labels: str, count: int = 4) -> Path:
    for i in range(count):
        save(root / f"images/{i}.png", part_image(i, defective=False))
    (root / "labels.csv").write_text(labels)
    return root


def test_what_the_labels_do_not_name_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    samples = find_samples(write_cells(tmp_path, "images/0.png 0.0 mono\nimages/1.png 1.0 mono\n"), say=said.append)
    assert [sample.name for sample in samples] == ["images/0.png", "images/1.png"]
    assert said == ["left out: 2 images that labels.csv doesn't name, as images/2.png"]


def test_an_image_named_twice_is_refused(tmp_path: Path) -> None:
    write_cells(tmp_path, "images/0.png 0.0 mono\nimages/1.png 1.0 mono\n./images/0.png 1.0 mono\n")
    with pytest.raises(DataError, match=r"line 3: \./images/0\.png stands in line 1 already"):
        find_samples(tmp_path)


@pytest.mark.parametrize("folder", ["good", "train/good", "OK"])
def test_labels_beside_folders_that_say_good_are_refused(tmp_path: Path, folder: str) -> None:
    save(write_cells(tmp_path, "images/0.png 0.0 mono\n") / folder / "a.png", part_image(9, defective=False))
    with pytest.raises(DataError, match=rf"labels\.csv and .*{folder} both say which images are good; move one"):
        find_samples(tmp_path)


def test_composed_and_decomposed_letters_are_one_name(tmp_path: Path) -> None:
    write_cells(tmp_path, "images/gro\u0308\u00dfe.png 0.0 mono\n")
    save(tmp_path / "images/gr\u00f6\u00dfe.png", part_image(9, defective=False))
    (sample,) = find_samples(tmp_path)
    assert sample.path == tmp_path / "images/gr\u00f6\u00dfe.png"


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    write_cells(tmp_path, "\ufeffimages/0.png 0.0 mono\n")
    assert [sample.name for sample in find_samples(tmp_path)] == ["images/0.png"]
