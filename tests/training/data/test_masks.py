"""What a mask marks must be understood, or it is refused."""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from model.errors import DataError
from tests.training.conftest import part_image, save
from training.data.mask_files import MaskFiles, looks_like_mask
from training.data.masks import Mask

IMAGE = Path("dent/0.png")
SIZE = (48, 48)
SPOT = np.zeros((48, 48), np.uint8)
SPOT[10:30, 10:30] = 255


def check(tmp_path: Path, image: Image.Image, suffix: str = ".png", class_numbers: bool = False) -> NDArray[np.bool_]:
    files = MaskFiles((save(tmp_path / f"mask{suffix}", image),), class_numbers)
    return files.read(IMAGE, SIZE).mask.pixels()


def palette(*colours: tuple[int, int, int]) -> Image.Image:
    """SPOT's pixels have number 1, a corner's the last one."""
    numbers = SPOT // 255
    numbers[40:, 40:] = len(colours) - 1
    image = Image.fromarray(numbers).convert("P")
    image.putpalette([level for colour in colours for level in colour])
    return image


def layers(colour: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> Image.Image:
    return Image.merge("LA", (Image.fromarray(colour), Image.fromarray(alpha)))


@pytest.mark.parametrize(
    "mask",
    [
        Image.fromarray(SPOT),
        Image.fromarray(SPOT).convert("1"),
        Image.fromarray(SPOT).convert("RGB"),
        Image.fromarray(SPOT.astype(np.uint16) * 257),
        Image.fromarray(SPOT.astype(np.uint16) * 16),
        Image.fromarray(SPOT.astype(np.uint16)),
        layers(SPOT, np.full_like(SPOT, 255)),
        layers(SPOT, SPOT),
    ],
    ids=[
        "gray",
        "bits",
        "colour",
        "16 bits",
        "12 in 16 bits",
        "8 in 16 bits",
        "opaque",
        "transparent where it is black",
    ],
)
def test_black_and_white_is_understood(tmp_path: Path, mask: Image.Image) -> None:
    assert np.array_equal(check(tmp_path, mask), SPOT > 0)


def test_smooth_edges_and_lossy_compression_are_no_third_level(tmp_path: Path) -> None:
    soft = Image.fromarray(SPOT).filter(ImageFilter.GaussianBlur(2))
    resized = Image.fromarray(SPOT).resize((19, 19), Image.Resampling.BILINEAR).resize(SIZE, Image.Resampling.BICUBIC)
    for mask, suffix in ((soft, ".png"), (resized, ".png"), (Image.fromarray(SPOT), ".jpg")):
        assert check(tmp_path, mask, suffix).mean() == pytest.approx((SPOT > 0).mean(), abs=0.01)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (layers(np.full_like(SPOT, 255), SPOT), "marks 100.0% of the image by its brightness and 17.4% by its transp"),
        (layers(255 - SPOT, SPOT), "marks 82.6% of the image by its brightness and 17.4% by its transparency"),
        (palette((0, 0, 0), (90, 0, 0), (255, 255, 255)), "has areas of 0, 27, 255: which of them mean a defect"),
        (Image.fromarray(np.where(SPOT, 1, np.roll(SPOT, 20)).astype(np.uint8)), "has areas of 0, 1, 255"),
        (part_image(0, defective=True), "is no mask: 9.% of its pixels are neither dark nor bright"),
        (Image.fromarray(SPOT[:40]), r"mask\.png is \(48, 40\), but its image dent/0.png is \(48, 48\)"),
    ],
    ids=["alpha", "both ways", "palette", "numbers and a border", "camera", "size"],
)
def test_what_is_ambiguous_is_refused(tmp_path: Path, mask: Image.Image, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check(tmp_path, mask)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_numbers_of_classes_mark_where_the_data_set_is_known_to_have_them(tmp_path: Path, dtype: type) -> None:
    numbers = Image.fromarray((np.where(SPOT, 1, 0) + np.where(np.roll(SPOT, 20), 2, 0)).astype(dtype))
    assert not check(tmp_path, Image.fromarray((SPOT // 255).astype(dtype))).any()
    assert np.array_equal(check(tmp_path, numbers, class_numbers=True), (SPOT > 0) | (np.roll(SPOT, 20) > 0))
    assert np.array_equal(check(tmp_path, Image.fromarray(SPOT), class_numbers=True), SPOT > 0)


def test_only_zeros_are_blank(tmp_path: Path) -> None:
    for levels, expected in ((SPOT * 0, True), (SPOT // 255, False), ((SPOT // 255).astype(np.uint16), False)):
        assert MaskFiles((save(tmp_path / "mask.png", Image.fromarray(levels)),)).is_blank == expected


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_bytes(b"")
    files = MaskFiles((tmp_path / "mask.png",))
    with pytest.raises(DataError, match=r"mask\.png: not a PNG"):
        assert files.is_blank
    with pytest.raises(DataError, match=r"mask\.png: not a PNG"):
        files.read(IMAGE, SIZE)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (48, 64)])
def test_a_mask_in_memory_has_every_pixel(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).random(shape) < 0.3
    assert np.array_equal(Mask.of(pixels).pixels(), pixels)


def test_coverage_is_the_share_of_each_patch() -> None:
    coverage = Mask.of(SPOT > 0).coverage(3, 4)  # patches of 16×12 pixels
    expected = (SPOT > 0).reshape(3, 16, 4, 12).mean((1, 3))
    assert coverage == pytest.approx(expected, abs=1e-6)


def test_camera_images_do_not_look_like_masks_and_masks_do() -> None:
    lossy = io.BytesIO()
    Image.fromarray(SPOT).save(lossy, "JPEG", quality=90)
    assert looks_like_mask(Image.fromarray(SPOT))
    assert looks_like_mask(Image.open(lossy))
    assert looks_like_mask(Image.fromarray(SPOT.astype(np.uint16) * 257))
    assert looks_like_mask(Image.fromarray(SPOT // 255))
    assert not looks_like_mask(part_image(0, defective=True))
    assert not looks_like_mask(Image.new("L", SIZE, 0))  # a lamp that is off
    assert not looks_like_mask(Image.fromarray(np.random.default_rng(0).integers(0, 3, (48, 48), np.uint8)))
    assert not looks_like_mask(Image.new("L", SIZE, 255))
