import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from model.errors import DataError
from tests.training.conftest import MakeFolder, part_image, save
from training.data.mask_files import MaskFiles
from training.data.samples import find_samples, kinds_of


def test_mvtec_layout_is_pooled_with_its_masks(make_folder: MakeFolder) -> None:
    root = make_folder(good=6, bad=3)
    samples = find_samples(root)
    assert kinds_of(samples) == {"good": 6, "scratch": 3, "spot": 3}
    assert [sample.name for sample in samples] == sorted(sample.name for sample in samples)
    masks = {sample.name: sample.mask_files for sample in samples}
    assert masks["test/spot/001.png"] == MaskFiles((root / "ground_truth/spot/001_mask.png",))
    assert masks["train/good/001.png"] is None


@pytest.mark.parametrize("suffix", [".png", ".JPG", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"])
def test_a_plain_folder_of_kinds(tmp_path: Path, suffix: str) -> None:
    save(tmp_path / "good" / f"a{suffix}", part_image(0, defective=False))
    save(tmp_path / "dent" / "deeper" / f"b{suffix}", part_image(1, defective=True))
    save(tmp_path / "ground_truth" / "dent" / "deeper" / "b.png", Image.new("L", (48, 48), 255))
    (tmp_path / "good" / "notes.txt").write_text("not an image")
    samples = find_samples(tmp_path)
    assert [(sample.name, sample.kind) for sample in samples] == [
        (f"dent/deeper/b{suffix}", "dent"),
        (f"good/a{suffix}", "good"),
    ]
    assert samples[0].mask_files == MaskFiles((tmp_path / "ground_truth" / "dent" / "deeper" / "b.png",))


def test_groups_come_from_the_names(make_folder: MakeFolder) -> None:
    samples = find_samples(make_folder(), group=r"/(\d\d)\d\.png")
    assert {sample.group for sample in samples} == {"00", "01"}


def test_a_good_folder_without_an_image_that_can_be_used_is_named(tmp_path: Path) -> None:
    save(tmp_path / "good/a.gif", part_image(0, defective=False))
    save(tmp_path / "dent/a.png", part_image(1, defective=True))
    with pytest.raises(DataError, match="good holds no PNG"):
        find_samples(tmp_path)


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
    (tmp_path / "frames").mkdir()
    with pytest.raises(DataError, match=r"none of the layouts .* it holds: frames"):
        find_samples(tmp_path)


def test_an_empty_kind_is_named(make_folder: MakeFolder) -> None:
    root = make_folder()
    (root / "test" / "dent").mkdir()
    with pytest.raises(DataError, match=r"test/dent holds no PNG"):
        find_samples(root)


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
