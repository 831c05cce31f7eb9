import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from model.errors import DataError
from tests.training.conftest import MakeFolder, picture, save
from training.dataset import find_samples, kinds_of


def test_mvtec_layout_is_pooled_with_its_masks(make_folder: MakeFolder) -> None:
    root = make_folder(good=6, bad=3)
    samples = find_samples(root)
    assert kinds_of(samples) == {"good": 6, "scratch": 3, "spot": 3}
    assert [sample.name for sample in samples] == sorted(sample.name for sample in samples)
    masks = {sample.name: sample.mask for sample in samples}
    assert masks["test/spot/001.png"] == root / "ground_truth/spot/001_mask.png"
    assert masks["train/good/001.png"] is None


@pytest.mark.parametrize("suffix", [".png", ".JPG", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"])
def test_a_plain_folder_of_kinds(tmp_path: Path, suffix: str) -> None:
    save(tmp_path / "good" / f"a{suffix}", picture(0, defective=False))
    save(tmp_path / "dent" / "deeper" / f"b{suffix}", picture(1, defective=True))
    save(tmp_path / "ground_truth" / "dent" / "deeper" / "b.png", Image.new("L", (48, 48), 255))
    (tmp_path / "good" / "notes.txt").write_text("not a picture")
    samples = find_samples(tmp_path)
    assert [(sample.name, sample.kind) for sample in samples] == [
        (f"dent/deeper/b{suffix}", "dent"),
        (f"good/a{suffix}", "good"),
    ]
    assert samples[0].mask == tmp_path / "ground_truth" / "dent" / "deeper" / "b.png"


@pytest.mark.parametrize("inside", ["", "data"])
def test_elpv_as_it_comes(tmp_path: Path, inside: str) -> None:
    home = tmp_path / inside
    rows = []
    cells = [(0.0, "mono"), (0.3333333333333333, "poly"), (0.6666666666666666, "mono"), (1.0, "poly")]
    for i, (probability, kind) in enumerate(cells):
        save(home / "images" / f"cell{i:04}.png", picture(i, defective=probability > 0.5).convert("L"))
        rows.append(f"images/cell{i:04}.png  {probability}   {kind}")
    (home / "labels.csv").write_text("\n".join(rows) + "\n")
    assert kinds_of(find_samples(tmp_path)) == {"good": 2, "defect-mono": 1, "defect-poly": 1}


def test_groups_come_from_the_names(make_folder: MakeFolder) -> None:
    samples = find_samples(make_folder(), group=r"/(\d\d)\d\.png")
    assert {sample.group for sample in samples} == {"00", "01"}


@pytest.mark.parametrize(
    ("group", "message"), [("(", "not a regular expression"), (r"lot-(\d+)", "matches nothing in 't")]
)
def test_groups_that_can_not_be_are_refused(make_folder: MakeFolder, group: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_samples(make_folder(), group=group)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere is not a folder; --data must name"):
        find_samples(tmp_path / "nowhere")


def test_an_unknown_layout_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(DataError, match=r"none of the layouts .* it holds: pictures"):
        find_samples(tmp_path)


def test_an_empty_kind_is_named(make_folder: MakeFolder) -> None:
    root = make_folder()
    (root / "test" / "dent").mkdir()
    with pytest.raises(DataError, match=r"test/dent holds no PNG"):
        find_samples(root)


@pytest.mark.parametrize(
    "row", ["images/a.png", "images/a.png much mono", "images/missing.png 1.0 mono", "images/a.png nan mono"]
)
def test_a_bad_elpv_row_is_named(tmp_path: Path, row: str) -> None:
    (tmp_path / "labels.csv").write_text(row)
    with pytest.raises(DataError, match=r"labels\.csv, line 1"):
        find_samples(tmp_path)


def test_masks_lie_as_their_images_do(tmp_path: Path) -> None:
    save(tmp_path / "good/a.png", picture(0, defective=False))
    for part in ("left", "right"):
        save(tmp_path / f"dent/{part}/0.jpg", picture(1, defective=True))
    save(tmp_path / "ground_truth/dent/right/0_mask.png", Image.new("L", (48, 48), 255))
    masks = {sample.name: sample.mask for sample in find_samples(tmp_path)}
    assert masks["dent/left/0.jpg"] is None
    assert masks["dent/right/0.jpg"] == tmp_path / "ground_truth/dent/right/0_mask.png"


def test_a_mask_without_an_image_is_named(make_folder: MakeFolder) -> None:
    root = make_folder()
    save(root / "ground_truth/spot/099_mask.png", Image.new("L", (48, 48), 255))
    with pytest.raises(DataError, match=r"1 masks belong to no image in .*test/spot, as .*099_mask\.png"):
        find_samples(root)


def test_a_folder_of_masks_is_no_kind_of_defect(tmp_path: Path) -> None:
    for kind in ("good", "dent", "masks"):
        save(tmp_path / kind / "0.png", picture(0, defective=False))
    with pytest.raises(DataError, match="masks doesn't look like a kind of defect; masks belong in"):
        find_samples(tmp_path)


def test_a_folder_that_can_not_be_read_is_named(
    make_folder: MakeFolder, make_unreadable: Callable[[str], None]
) -> None:
    root = make_folder()
    make_unreadable("spot")
    with pytest.raises(DataError, match="test/spot can't be read: Permission denied"):
        find_samples(root)


def test_a_name_that_can_not_be_written_down_is_refused_at_once(make_folder: MakeFolder) -> None:
    root = make_folder()
    os.rename(root / "test/good/000.png", os.fsencode(root / "test/good") + b"/\xe9.png")
    with pytest.raises(DataError, match="rename this file"):
        find_samples(root)


def test_labels_that_are_no_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"images/\xe9.png 1.0 mono")
    with pytest.raises(DataError, match=r"labels\.csv can't be read"):
        find_samples(tmp_path)
