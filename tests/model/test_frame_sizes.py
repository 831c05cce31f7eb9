"""Images of another size than in training: scaled by the same factor, to as many tiles as that takes, or refused."""

import io

import numpy as np
import pytest
from PIL import Image

from model.errors import FrameSizeError
from model.preprocessing import Resizing
from model.roi import FILL
from model.tiles import MOST_LARGER, Frame, Tiling

FIXED, SCALED = Frame(160, 112, 16), Frame(160, 112, 16, scale=0.5)
"""Of images of 320×224, in tiles of 64×64."""


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    ramp = np.add.outer(np.arange(height), np.arange(width)) // 8 % 256
    Image.fromarray(ramp.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("image", "frame"),
    [
        ((320, 224), (160, 112)),
        ((640, 224), (320, 112)),
        ((128, 448), (64, 224)),
        ((300, 200), (144, 96)),
        ((64, 640), (32, 320)),
    ],
)
def test_one_factor_scales_images_of_any_size(image: tuple[int, int], frame: tuple[int, int]) -> None:
    resizing = Resizing(64, None, reduced=True, frame=SCALED)
    assert resizing.frame_of(*image) == frame
    pixels = resizing(png(*image)).pixels
    assert pixels.shape == (frame[1], frame[0], 3)
    assert pixels.nbytes <= 3 * resizing.most_pixels
    assert Tiling.of(SCALED, 64).count(frame[1], frame[0]) <= SCALED.most_tiles(64)


def test_of_training_s_size_both_are_the_same_to_the_bit() -> None:
    scaled, fixed = (Resizing(64, None, reduced=False, frame=frame) for frame in (SCALED, FIXED))
    assert np.array_equal(scaled(png(320, 224)).pixels, fixed(png(320, 224)).pixels)


def test_without_a_scale_every_image_becomes_the_frame() -> None:
    assert Resizing(64, None, reduced=True, frame=FIXED).frame_of(9, 9999) == (160, 112)
    assert Resizing(64, None, reduced=True).frame_of(9, 9999) == (64, 64)


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ((40, 400), "a frame of 16×208 .* sides must be at least 32"),
        ((1, 1), "at least 32"),
        ((1280, 896), f"a frame of 640×448 .* more tiles than {MOST_LARGER * 6}"),
        ((99_999, 224), "more tiles than"),
    ],
)
def test_what_no_frame_can_be_is_refused(image: tuple[int, int], why: str) -> None:
    with pytest.raises(FrameSizeError, match=why):
        Resizing(64, None, reduced=True, frame=SCALED).frame_of(*image)


@pytest.mark.parametrize(("height", "width"), [(32, 64), (32, 160), (160, 48), (48, 32), (64, 64)])
def test_a_frame_smaller_than_a_tile_has_one_colour_beside_it(height: int, width: int) -> None:
    """And its map is of what it is itself."""
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    tiling = Tiling(64, 16)
    tiles = tiling.cut(frame)
    assert len(tiles) == tiling.count(height, width)
    for (top, left), tile in zip(tiling.corners(height, width), tiles, strict=True):
        inside = frame[top : top + 64, left : left + 64]
        assert tile.shape == (64, 64, 3)
        assert np.array_equal(tile[: len(inside), : inside.shape[1]], inside)
        assert (tile[len(inside) :] == FILL).all()
        assert (tile[:, inside.shape[1] :] == FILL).all()
    maps = [tile[::8, ::8, 0].astype(np.float32) for tile in tiles]
    assert tiling.blend(maps, height, width) == pytest.approx(frame[::8, ::8, 0].astype(np.float32), abs=1e-3)
