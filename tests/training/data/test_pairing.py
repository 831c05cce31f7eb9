"""Which mask is whose: by its place and name, or refused."""

from pathlib import Path

import pytest
from PIL import Image

from model.errors import DataError
from tests.training.conftest import MakeFolder, part_image, save
from training.data.mask_files import MaskFiles
from training.data.samples import find_samples

SPOT = Image.new("L", (48, 48), 255)


def read(root: Path, images: list[str], masks: list[str]) -> dict[str, str]:
    """By image, the mask that is found for it."""
    for i, name in enumerate(["good/000.png", "good/001.png", *images]):
        save(root / name, part_image(i, defective=False))
    for name in masks:
        save(root / name, SPOT)
    return {
        sample.name: sample.mask_files.paths[0].relative_to(root).as_posix()
        for sample in find_samples(root)
        if sample.mask_files
    }


@pytest.mark.parametrize(
    "mask",
    [
        "ground_truth/dent/000_mask.png", "ground_truth/dent/000.png", "Ground_Truth/dent/000.bmp",
        "ground-truth/dent/000_MASK.PNG", "GT/dent/000-gt.png", "masks/dent/000.jpg.png", "annotations/dent/000.png",
        "masks/000.png", "dent/masks/000.png", "dent/000_mask.png", "dent/000_GT.png", "dent/000_label.bmp",
    ],
)  # fmt: skip
def test_positions_and_names_of_masks(tmp_path: Path, mask: str) -> None:
    assert read(tmp_path, ["dent/000.jpg", "dent/001.jpg"], [mask]) == {"dent/000.jpg": mask}


def test_masks_lie_as_their_images_do(tmp_path: Path) -> None:
    save(tmp_path / "good/a.png", part_image(0, defective=False))
    for part in ("left", "right"):
        save(tmp_path / f"dent/{part}/0.jpg", part_image(1, defective=True))
    save(tmp_path / "ground_truth/dent/right/0_mask.png", Image.new("L", (48, 48), 255))
    masks = {sample.name: sample.mask_files for sample in find_samples(tmp_path)}
    assert masks["dent/left/0.jpg"] is None
    assert masks["dent/right/0.jpg"] == MaskFiles((tmp_path / "ground_truth/dent/right/0_mask.png",))


def test_a_mask_without_an_image_is_named(make_folder: MakeFolder) -> None:
    root = make_folder()
    save(root / "ground_truth/spot/099_mask.png", Image.new("L", (48, 48), 255))
    with pytest.raises(DataError, match=r"1 masks belong to no image, as ground_truth/spot/099_mask\.png"):
        find_samples(root)


def test_masks_of_a_misspelt_kind_are_named_with_the_kinds(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"1 masks belong to no image, as .*dents/000\.png.* Kinds of defect are dent$"):
        read(tmp_path, ["dent/000.png"], ["ground_truth/dents/000.png"])


@pytest.mark.parametrize(
    ("images", "masks", "message"),
    [
        (["dent/000.png", "dent/000.jpg"], ["ground_truth/dent/000.png"], "is the mask of dent/000.jpg or of dent/000"),
        (["dent/000.png", "cut/000.png"], ["masks/000.png"], "is the mask of cut/000.png or of dent/000.png"),
        (["dent/000.png"], ["masks/dent/000.png", "masks/dent/000_mask.png"], "images have more than one mask: dent/0"),
        (["dent/000.png"], ["masks/dent/000.png", "masks/dent/000/0.png"], "images have more than one mask: dent/000"),
        (["dent/000.png"], ["masks/dent/000.png", "dent/000_mask.png"], "images have more than one mask: dent/000"),
        (["dent/000.png"], ["dent/000_mask.png", "dent/001_mask.png"], "no image beside them, as dent/001_mask.png"),
        (["train/dent/0.png", "valid/dent/0.png"], ["ground_truth/dent/0.png"], "is the mask of train/dent/0.png or"),
    ],
)
def test_what_is_ambiguous_is_refused(tmp_path: Path, images: list[str], masks: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, images, masks)


def test_masks_beside_the_splits_are_tests(tmp_path: Path) -> None:
    """MVTec AD has no other; train/dent/000.png must not take test's mask."""
    dataset = read(tmp_path, ["train/dent/000.png", "test/dent/000.png"], ["ground_truth/dent/000_mask.png"])
    assert dataset == {"test/dent/000.png": "ground_truth/dent/000_mask.png"}
    said: list[str] = []
    find_samples(tmp_path, say=said.append)
    assert "warning: 1 masks have the name of an image in test and of one elsewhere, as" in said[1]


def test_masks_within_a_split_are_of_its_own(tmp_path: Path) -> None:
    dataset = read(
        tmp_path,
        ["train/dent/000.png", "test/dent/000.png"],
        ["ground_truth/train/dent/000.png", "test/ground_truth/dent/000.png"],
    )
    assert dataset == {
        "train/dent/000.png": "ground_truth/train/dent/000.png",
        "test/dent/000.png": "test/ground_truth/dent/000.png",
    }


def test_a_name_like_a_masks_is_an_images_where_no_other_image_has_it(tmp_path: Path) -> None:
    """Images of labels, say."""
    assert read(tmp_path, ["dent/front_label.png", "dent/back_label.png"], []) == {}
    assert len(find_samples(tmp_path)) == 4
