"""Data sets as they come: each is read with its kinds and masks, or refused with what to do."""

import unicodedata
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image

from model.errors import DataError
from tests.training.conftest import part_image, save
from training.data.dataset import check_samples
from training.data.layout import GOOD_NAMES, locate
from training.data.samples import Sample, find_samples, kinds_of

BLANK, SPOT = (Image.fromarray(np.pad(np.full((8, 8), level, np.uint8), ((16, 24), (16, 24)))) for level in (0, 255))


def images(root: Path, folder: str, count: int = 2, suffix: str = ".png", start: int = 0) -> None:
    for i in range(start, start + count):
        save(root / folder / f"{i:03}{suffix}", part_image(i + 100 * len(folder), defective=False))


def masks(root: Path, pattern: str, count: int = 2, mask: Image.Image = SPOT) -> None:
    for i in range(count):
        save(root / pattern.format(i), mask)


def mvtec_ad(root: Path) -> None:
    images(root, "train/good", 3)
    images(root, "test/good")
    images(root, "test/dent")
    masks(root, "ground_truth/dent/{:03}_mask.png")


def mvtec_loco(root: Path) -> None:
    for split in ("train", "validation", "test"):
        images(root, f"{split}/good")
    images(root, "test/logical_anomalies")
    for part in ("000", "001"):
        masks(root, "ground_truth/logical_anomalies/{:03}/" + part + ".png")
    (root / "defects_config.json").write_text("[]")


def mvtec_ad_2(root: Path) -> None:
    for split in ("train", "validation", "test_public"):
        images(root, f"{split}/good")
    images(root, "test_public/bad")
    masks(root, "test_public/ground_truth/bad/{:03}_mask.png")
    images(root, "test_private", 5)


def visa(root: Path) -> None:
    images(root, "Data/Images/Normal", 3, ".JPG")
    images(root, "Data/Images/Anomaly", 2, ".JPG")
    masks(root, "Data/Masks/Anomaly/{:03}.png", mask=SPOT.point(lambda level: 3 if level else 0))
    (root / "image_anno.csv").write_text("image,label,mask")


def visa_in_two_classes(root: Path) -> None:
    for split in ("train", "test"):
        images(root, f"{split}/good")
        images(root, f"{split}/bad")
        masks(root, f"ground_truth/{split}/bad/" + "{:03}.png")


def btad(root: Path) -> None:
    images(root, "train/ok", 3, ".bmp")
    images(root, "test/ok", 2, ".bmp")
    images(root, "test/ko", 2, ".bmp")
    masks(root, "ground_truth/ko/{:03}.png")


def kolektor_2(root: Path) -> None:
    for split, mask in (("train", BLANK), ("test", SPOT)):
        images(root, split)
        masks(root, f"{split}/" + "{:03}_GT.png", mask=mask)


def kolektor(root: Path) -> None:
    for item, mask in (("kos01", BLANK), ("kos02", SPOT)):
        images(root, item, suffix=".jpg")
        masks(root, f"{item}/" + "{:03}_label.bmp", mask=mask)


def casting(root: Path) -> None:
    for split in ("train", "test"):
        images(root, f"casting_data/casting_data/{split}/ok_front", suffix=".jpeg")
        images(root, f"casting_data/casting_data/{split}/def_front", suffix=".jpeg")


def roboflow(root: Path) -> None:
    for split in ("train", "valid", "test"):
        images(root, f"{split}/good")
        images(root, f"{split}/dent")
    (root / "README.roboflow.txt").write_text("")


@pytest.mark.parametrize(
    ("write", "kinds", "masked"),
    [
        (mvtec_ad, {"good": 5, "dent": 2}, 2),
        (mvtec_loco, {"good": 6, "logical_anomalies": 2}, 2),
        (mvtec_ad_2, {"good": 6, "bad": 2}, 2),
        (visa, {"good": 3, "Anomaly": 2}, 2),
        (visa_in_two_classes, {"good": 4, "bad": 4}, 4),
        (btad, {"good": 5, "ko": 2}, 2),
        (kolektor_2, {"good": 2, "defect": 2}, 2),
        (kolektor, {"good": 2, "defect": 2}, 2),
        (casting, {"good": 4, "def_front": 4}, 0),
        (roboflow, {"good": 6, "dent": 6}, 0),
    ],
)
def test_data_sets_as_they_come(
    tmp_path: Path, write: Callable[[Path], None], kinds: dict[str, int], masked: int
) -> None:
    write(tmp_path)
    samples = find_samples(tmp_path)
    assert kinds_of(samples) == kinds
    assert sum(sample.mask_files is not None for sample in samples) == masked
    for sample in samples:
        assert sample.path == tmp_path / sample.name
        if sample.mask_files is not None:
            assert sample.mask_files.read(sample.path, (48, 48)).share == pytest.approx(64 / 48**2)


def test_several_masks_of_one_image_count_together(tmp_path: Path) -> None:
    mvtec_loco(tmp_path)
    rolled = Image.fromarray(np.roll(np.asarray(SPOT), 10))
    save(tmp_path / "ground_truth/logical_anomalies/001/001.png", rolled)
    masked = [sample for sample in check_samples(find_samples(tmp_path)).samples if sample.mask]
    assert [sample.mask.pixels().sum() for sample in masked if sample.mask] == [64, 128]


@pytest.mark.parametrize("name", [*GOOD_NAMES, "Good", "OK", "no-defect", "Non Defective", "OK_Front"])
def test_good_has_several_names(tmp_path: Path, name: str) -> None:
    images(tmp_path, name)
    images(tmp_path, "NG")
    assert kinds_of(find_samples(tmp_path)) == {"good": 2, "NG": 2}


def test_a_benchmarks_unlabelled_images_are_left_out_by_name(tmp_path: Path) -> None:
    mvtec_ad_2(tmp_path)
    said: list[str] = []
    find_samples(tmp_path, say=said.append)
    assert said == ["left out: 5 images in no folder of a kind, as test_private/000.png"]


def test_labels_from_masks_are_said(tmp_path: Path) -> None:
    kolektor_2(tmp_path)
    said: list[str] = []
    find_samples(tmp_path, say=said.append)
    assert said == ["no folder says good: an image is good where its mask is black, and defective elsewhere"]


def test_labels_from_masks_need_a_mask_for_each(tmp_path: Path) -> None:
    kolektor_2(tmp_path)
    (tmp_path / "train/001_GT.png").unlink()
    with pytest.raises(DataError, match=r"none of the layouts .*; 1 images have no mask, as train/001\.png"):
        find_samples(tmp_path)


def test_the_folder_of_many_products_is_refused(tmp_path: Path) -> None:
    visa(tmp_path / "candle")
    visa(tmp_path / "pcb1")
    with pytest.raises(DataError, match=r"Name the folder of one product, as .*/candle"):
        find_samples(tmp_path)


def test_composed_and_decomposed_letters_are_one_name(tmp_path: Path) -> None:
    images(tmp_path, "good")
    composed, decomposed = (unicodedata.normalize(form, "größe") for form in ("NFC", "NFD"))
    for i, (kind, image, mask) in enumerate([(composed, composed, decomposed), (decomposed, decomposed, composed)]):
        save(tmp_path / f"{kind}/{image}{i}.png", part_image(i, defective=True))
        save(tmp_path / f"ground_truth/{composed}/{mask}{i}_mask.png", SPOT)
    samples: list[Sample] = find_samples(tmp_path)
    assert kinds_of(samples) == {"good": 2, composed: 2}
    assert sum(sample.mask_files is not None for sample in samples) == 2
    assert f"{decomposed}/{decomposed}1.png" in {sample.name for sample in samples}


@pytest.mark.parametrize(
    ("path", "split", "kind", "folder", "is_mask"),
    [
        ("train/good/a.png", "train", "good", ("good",), False),
        ("Valid/dent/left/a.png", "validation", "dent", ("dent", "left"), False),
        ("dent/images/a.png", "", "dent", ("dent",), False),
        ("dent/masks/a.png", "", "dent", ("dent",), True),
        ("ground-truth/test/dent/a.png", "test", "dent", ("dent",), True),
        ("Ground_Truth/a.png", "", None, (), True),
        ("train/a.png", "train", None, (), False),
        ("dent/train/a.png", "", "dent", ("dent", "train"), False),
    ],
)
def test_what_a_path_says(path: str, split: str, kind: str | None, folder: tuple[str, ...], is_mask: bool) -> None:
    location = locate(PurePosixPath(path))
    assert (location.split, location.kind, location.folder, location.is_mask) == (split, kind, folder, is_mask)
