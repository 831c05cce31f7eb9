import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model.errors import DataError
from tests.training.conftest import MakeFolder, part_image, save
from training.data.dataset import check_samples
from training.data.samples import find_samples


def test_good_data_passes(make_folder: MakeFolder) -> None:
    dataset = check_samples(find_samples(make_folder()))
    assert (len(dataset.samples), dataset.duplicates, dataset.full_scale) == (22, 0, None)
    assert len({sample.group for sample in dataset.samples}) == 22


def test_every_file_that_can_not_be_read_is_named(make_folder: MakeFolder) -> None:
    root = make_folder()
    (root / "test/good/000.png").write_text("no image")
    whole = (root / "test/spot/001.png").read_bytes()
    (root / "test/spot/001.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"(?s)2 of the files can't.*good/000\.png: not a.*spot/001\.png: the PNG"):
        check_samples(find_samples(root))


def test_a_mask_of_another_size_is_named(make_folder: MakeFolder) -> None:
    root = make_folder()
    save(root / "ground_truth/spot/002_mask.png", Image.new("L", (40, 48)))
    with pytest.raises(DataError, match=r"002_mask\.png is \(40, 48\), but its image .*spot/002\.png is \(48, 48\)"):
        check_samples(find_samples(root))


@pytest.mark.parametrize("mask", [Image.new("L", (48, 48)), Image.new("L", (48, 48), 1), Image.new("L", (48, 48), 127)])
def test_a_mask_that_marks_nothing_is_named(make_folder: MakeFolder, mask: Image.Image) -> None:
    """Class numbers, for example: taken for masks they would teach that the defect is good."""
    root = make_folder()
    save(root / "ground_truth/spot/002_mask.png", mask)
    with pytest.raises(DataError, match=r"002_mask\.png marks nothing: what is defective must be brighter than half"):
        check_samples(find_samples(root))


def test_an_unreadable_mask_is_named(make_folder: MakeFolder) -> None:
    root = make_folder()
    (root / "ground_truth/spot/002_mask.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"002_mask\.png: not a PNG"):
        check_samples(find_samples(root))


def test_the_same_image_under_both_classes_is_refused_however_it_is_stored(make_folder: MakeFolder) -> None:
    root = make_folder()
    save(root / "test/good/copy.bmp", Image.open(root / "test/spot/000.png"))
    with pytest.raises(DataError, match=r"same image under both classes.*\n.*good/copy\.bmp and .*spot/000\.png"):
        check_samples(find_samples(root))


def test_copies_stay_together(make_folder: MakeFolder) -> None:
    root = make_folder()
    for name in ("copy.png", "copy.tiff"):
        save(root / "test/good" / name, Image.open(root / "train/good/001.png"))
    dataset = check_samples(find_samples(root))
    groups = {sample.name: sample.group for sample in dataset.samples}
    assert dataset.duplicates == 2
    assert groups["test/good/copy.png"] == groups["test/good/copy.tiff"] == groups["train/good/001.png"]
    assert len(set(groups.values())) == 22


def test_groups_that_share_an_image_become_one(make_folder: MakeFolder) -> None:
    root = make_folder()
    save(root / "test/good/lot9.png", Image.open(root / "train/good/001.png"))
    dataset = check_samples(find_samples(root, group=r"\w+/\w+/(lot9|00|01)"))
    groups = {sample.name: sample.group for sample in dataset.samples}
    assert groups["test/good/lot9.png"] == groups["train/good/003.png"]
    assert groups["test/good/lot9.png"] != groups["train/good/011.png"]


def test_full_scale_covers_the_brightest_16_bit_pixel(tmp_path: Path) -> None:
    save(tmp_path / "good/a.png", Image.fromarray(np.full((48, 48), 900, dtype=np.uint16)))
    save(tmp_path / "dent/b.png", Image.fromarray(np.full((48, 48), 3000, dtype=np.uint16)))
    save(tmp_path / "dent/c.png", part_image(0, defective=True))
    assert check_samples(find_samples(tmp_path)).full_scale == 4095


def test_sizes_are_counted_the_most_frequent_first(make_folder: MakeFolder) -> None:
    root = make_folder()
    for i, size in enumerate([(64, 40), (30, 30), (64, 40)]):
        save(root / f"test/good/other{i}.png", Image.effect_noise(size, 30).convert("RGB"))
    dataset = check_samples(find_samples(root))
    assert list(dataset.sizes.items()) == [("48×48", 22), ("64×40", 2), ("30×30", 1)]


def test_good_images_alone_pass(make_folder: MakeFolder, tmp_path: Path) -> None:
    """MVTec AD's train folder, and a folder with nothing but good/ in it."""
    root = make_folder(good=8, bad=0)
    assert len(check_samples(find_samples(root)).samples) == 8
    assert len(check_samples(find_samples(root / "train")).samples) == 4
    save(tmp_path / "flat/good/a.png", part_image(0, defective=False))
    assert check_samples(find_samples(tmp_path / "flat")).samples[0].kind == "good"


def test_fingerprint_is_of_content_not_of_names(make_folder: MakeFolder) -> None:
    root = make_folder()
    shutil.rmtree(root / "ground_truth")
    before = check_samples(find_samples(root)).fingerprint
    (root / "test/spot/000.png").rename(root / "test/spot/renamed.png")
    assert check_samples(find_samples(root)).fingerprint == before
    (root / "test/spot/renamed.png").rename(root / "test/scratch/renamed.png")
    assert check_samples(find_samples(root)).fingerprint != before


def test_gray_stored_as_colour_is_the_same_image(make_folder: MakeFolder) -> None:
    root = make_folder()
    gray = Image.open(root / "test/spot/000.png").convert("L")
    save(root / "test/spot/gray.png", gray)
    save(root / "test/spot/colour.png", gray.convert("RGB"))
    assert check_samples(find_samples(root)).duplicates == 1


def test_masks_that_mark_most_of_their_image_are_warned_of(make_folder: MakeFolder) -> None:
    root = make_folder()
    mask = root / "ground_truth/spot/001_mask.png"
    save(mask, Image.fromarray(255 - np.asarray(Image.open(mask))))
    (warning,) = check_samples(find_samples(root)).warnings
    assert warning.startswith(f"1 of 10 masks mark more than half of their image, as {mask} (97.2%)")


@pytest.mark.parametrize(("both", "size", "warned"), [(False, (48, 48), 1), (True, (48, 48), 0), (False, (48, 40), 0)])
def test_masks_of_turned_images_are_warned_of(
    make_folder: MakeFolder, both: bool, size: tuple[int, int], warned: int
) -> None:
    """Drawn on the turned image, or on what the camera stored? In a square nothing says."""
    root = make_folder()
    exif = Image.Exif()
    exif[0x0112] = 6
    part_image(5, defective=True).resize(size).save(root / "test/spot/002.png", exif=exif)
    stored: dict[str, Any] = {"exif": exif} if both else {}
    mask = Image.open(root / "ground_truth/spot/002_mask.png").resize(size if both else size[::-1])
    mask.save(root / "ground_truth/spot/002_mask.png", **stored)
    warnings = check_samples(find_samples(root)).warnings
    assert len(warnings) == warned
    assert all(warning.startswith("1 images are turned by their EXIF orientation") for warning in warnings)


def test_a_mask_that_marks_a_good_image_is_refused_and_a_blank_one_is_no_mask(make_folder: MakeFolder) -> None:
    root = make_folder()
    blank = Image.new("L", (48, 48))
    save(root / "ground_truth/good/000_mask.png", blank)
    assert all(sample.mask is None for sample in check_samples(find_samples(root)).samples if not sample.is_anomaly)
    blank.putpixel((3, 3), 255)
    save(root / "ground_truth/good/000_mask.png", blank)
    with pytest.raises(
        DataError, match=r"good/000_mask\.png marks a defect, but its image .*test/good/000\.png is under"
    ):
        check_samples(find_samples(root))


def test_an_image_under_two_kinds_of_defect_is_warned_of(make_folder: MakeFolder) -> None:
    root = make_folder()
    save(root / "test/spot/copy.bmp", Image.open(root / "test/scratch/000.png"))
    (warning,) = check_samples(find_samples(root)).warnings
    assert re.fullmatch(
        r"1 images lie under two kinds of defect, as .*scratch/000\.png and .*spot/copy\.bmp.*", warning
    )


@pytest.mark.parametrize("name", ["test/Masken/{:03}.png", "test/spot/{:03}_m.png"])
def test_masks_under_unknown_names_are_not_taken_for_defects(make_folder: MakeFolder, name: str) -> None:
    root = make_folder()
    for i in range(5):
        path = root / name.format(i)
        path.parent.mkdir(exist_ok=True)
        shutil.move(root / f"ground_truth/spot/{i:03}_mask.png", path)
    with pytest.raises(DataError, match="5 of the files look like masks; put masks into ground_truth/KIND"):
        check_samples(find_samples(root))


def test_silhouettes_are_images(make_folder: MakeFolder) -> None:
    root = make_folder(good=2, bad=1)
    shutil.rmtree(root / "ground_truth")
    for i, path in enumerate(sorted(root.rglob("*.png"))):
        levels = np.zeros((48, 48), np.uint8)
        levels[10 : 20 + i, 10:30] = 255
        save(path, Image.fromarray(levels))
    assert len(check_samples(find_samples(root)).samples) == 4
