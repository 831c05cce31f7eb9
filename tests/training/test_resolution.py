"""Which frame a resolution means: its size, its tiles, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.errors import RecipeError
from model.tiles import Frame
from tests.training.conftest import OWN_PATCHES, tiny_patches
from training.data.masks import Mask
from training.data.samples import Sample
from training.frame_sizes import frame_of, tiles_of
from training.recipe import Patches, read_recipe
from training.resolution import Resolution, larger_frames, smallest_defect, tile_for, with_frame

LARGE = {"2000×1500": 30, "1980×1500": 2}
DEFECT = Sample(Path("a.png"), "a.png", "spot")


def spotted(size: tuple[int, int], spot: int) -> list[Sample]:
    mask = np.zeros(size[::-1], np.bool_)
    mask[8 : 8 + spot, 8 : 8 + spot] = True
    return [Sample(Path("a.png"), "a.png", "spot", mask=Mask.of(mask))]


def framed(resolution: str, sizes: dict[str, int] = LARGE) -> Patches:
    recipe, _ = with_frame(read_recipe("accurate", resolution=resolution), [], sizes)
    assert isinstance(recipe, Patches)
    return recipe


@pytest.mark.parametrize(("resolution", "size"), [("0.5", (1008, 752)), ("1000x750", (1008, 752)), ("1", (2000, 1504))])
def test_a_frame_keeps_the_aspect_to_a_multiple_of_16(resolution: str, size: tuple[int, int]) -> None:
    recipe = framed(resolution)
    assert recipe.frame_size == size
    assert recipe.hypercolumn.head_apart
    assert recipe.frame is not None
    assert recipe.tiles == recipe.tiling.count(size[1], size[0]) > 1


def test_a_long_frame_has_one_row_of_tiles() -> None:
    recipe = framed("1", {"4096×256": 10})
    assert (recipe.input_size, len(recipe.tiling.starts(256))) == (256, 1)


@pytest.mark.parametrize("frame", [(1248, 496), (4096, 256), (4000, 3008), (448, 464), (96, 96)])
def test_tiles_are_the_cheapest_of_their_sizes(frame: tuple[int, int]) -> None:
    tile = tile_for({frame: 9}, 448)
    assert tile % 16 == 0
    assert tile <= min(560, *frame)


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "nan", "2x", "0x5", "big", "100x200x3", "1e999"])
def test_what_is_no_resolution_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="auto, WIDTHxHEIGHT or a factor up to 1"):
        Resolution.parse(text)


def test_another_aspect_is_refused_with_the_right_one() -> None:
    with pytest.raises(RecipeError, match=r"another aspect.*would be 1000x750"):
        framed("1000x500")


MANY = {"800×600": 9, "400×300": 1, "1600×200": 3}


def test_images_of_many_sizes_have_frames_of_their_own_at_one_scale() -> None:
    recipe = framed("0.5", MANY)
    assert recipe.frame is not None
    assert (recipe.frame.scale, recipe.frame.sizes_checked) == (0.5, True)
    assert recipe.frame_size in {(400, 304), (800, 96)}  # the one with the most tiles
    samples = [Sample(Path("a.png"), "a.png", "good", size=size) for size in ((800, 600), (400, 300), (1600, 200))]
    assert [frame_of(recipe, sample) for sample in samples] == [(400, 304), (208, 144), (800, 96)]
    assert recipe.tiles == max(tiles_of(recipe, sample) for sample in samples)


def test_what_many_sizes_become_is_told() -> None:
    (mask,) = [each.mask for each in spotted((800, 600), 12)]
    sample = Sample(Path("a.png"), "a.png", "spot", mask=mask)
    recipe, (sentence,) = with_frame(read_recipe("fast", resolution="0.5"), [sample], MANY)
    assert isinstance(recipe, Patches)
    assert sentence.startswith("resolution: images of 3 sizes are scaled by 0.5, each to a frame of its own, at most ")
    assert sentence.endswith("the smallest masked defect measures 6.0 pixels")


def test_auto_resizes_many_sizes_to_one_tile_where_nothing_speaks_for_more() -> None:
    recipe, (sentence,) = with_frame(read_recipe("fast", resolution="auto"), [DEFECT], {"800×600": 9, "400×300": 1})
    assert recipe == read_recipe("fast", resolution="auto")
    assert sentence == "resolution: images are of many sizes, and each is resized to one tile of 224×224"
    long, _ = with_frame(read_recipe("fast", resolution="auto"), [DEFECT], MANY)
    assert isinstance(long, Patches)
    assert long.frame is not None  # a square would stretch some of them
    assert long.frame.scale is not None


@pytest.mark.parametrize("samples", [[DEFECT], spotted((4000, 3000), 900)])
@pytest.mark.parametrize("small", [(60, 50), (40, 20)])
def test_auto_scales_no_image_to_less_than_a_frame_can_be(samples: list[Sample], small: tuple[int, int]) -> None:
    recipe, sizes = read_recipe("fast", resolution="auto"), {"4000×3000": 9, f"{small[0]}×{small[1]}": 3, "900×300": 3}
    framed, _ = with_frame(recipe, samples, sizes)
    for each in [framed, *larger_frames(recipe, samples, sizes)]:
        if each.frame is None:
            assert min(small) < 32 or each == recipe
        else:
            assert min(frame_of(each, replace(DEFECT, size=small))) >= 32


def test_a_size_that_no_frame_can_be_is_named() -> None:
    with pytest.raises(RecipeError, match="a frame of 96×16 of an image of 200×40: its sides must lie between 32 and"):
        framed("0.5", {"800×600": 9, "200×40": 1})
    with pytest.raises(RecipeError, match="its sides must lie between 32 and 16384"):
        framed("0.5", {"400×400": 900, "40000×64": 1})


def test_a_frame_too_small_for_a_tile_is_refused() -> None:
    with pytest.raises(RecipeError, match="sides must lie between 32 and"):
        framed("0.005")


def test_the_fine_tuned_preset_has_one_tile() -> None:
    with pytest.raises(RecipeError, match="--resolution is for other presets"):
        read_recipe("baseline", resolution="0.5")


def test_a_recipe_says_the_resolution_and_not_the_frame(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN_PATCHES + 'resolution = "0.5"\n')
    assert read_recipe(str(path)).resolution == "0.5"
    path.write_text(OWN_PATCHES + "frame = { width = 128, height = 64, overlap = 16 }\n")
    with pytest.raises(RecipeError, match="write resolution in its place"):
        read_recipe(str(path))


def test_the_smallest_defect_is_told() -> None:
    mask = np.zeros((1500, 2000), np.bool_)
    mask[100:112, 50:62] = True
    mask[500, 500] = True  # a speck beside the defect
    sample = Sample(Path("a.png"), "a.png", "spot", mask=Mask.of(mask))
    assert smallest_defect([sample]) == 12
    _, (sentence,) = with_frame(tiny_patches(resolution="0.5"), [sample], LARGE)
    assert "images of 2000×1500 become 1008×752" in sentence
    assert "the smallest masked defect measures 6.0 pixels" in sentence
    _, (_, warning) = with_frame(tiny_patches(resolution="0.25"), [sample], LARGE)
    assert warning.startswith("warning: a defect of 3.0 pixels is hardly seen; 4 are the least")


@pytest.mark.parametrize(
    ("size", "spot", "expected"),
    [
        ((1000, 1000), 100, None),  # ordinary defects of square images: the preset's own tile
        ((1000, 1000), 20, (800, 800)),  # they measure a patch, 16 pixels
        ((1500, 1000), 100, None),
        ((4000, 3000), 12, (3584, 2688)),  # as large as may be
        ((4096, 256), 60, (1792, 112)),  # a long image keeps its aspect, at no more work than one tile
        ((500, 1250), 4, (496, 1248)),  # never enlarged
    ],
)
def test_auto_lets_the_smallest_masked_defect_measure_a_patch(
    size: tuple[int, int], spot: int, expected: tuple[int, int] | None
) -> None:
    sizes = {f"{size[0]}×{size[1]}": 9}
    recipe, sentences = with_frame(read_recipe("accurate", resolution="auto"), spotted(size, spot), sizes)
    assert isinstance(recipe, Patches)
    assert (recipe.frame and recipe.frame_size) == expected
    assert sentences
    if expected is None:
        assert recipe.input_size == 448


def same_scale(resolution: str | None, sizes: dict[str, int]) -> Patches:
    recipe, _ = with_frame(tiny_patches(resolution=resolution, other_sizes="same-scale"), [], sizes)
    assert isinstance(recipe, Patches)
    return recipe


@pytest.mark.parametrize(
    ("resolution", "size", "frame"),
    [
        ("0.5", "400×240", Frame(208, 128, 64, scale=0.5)),
        ("auto", "640×640", Frame(64, 64, 32, scale=0.1)),  # as many pixels as one tile
        ("0.1", "640×640", Frame(64, 64, 32, scale=0.1)),
        ("1", "48×48", Frame(48, 48, 16, scale=1)),
    ],
)
def test_with_other_sizes_at_the_same_scale_the_frame_has_it(resolution: str, size: str, frame: Frame) -> None:
    assert same_scale(resolution, {size: 9}).frame == frame


def test_other_sizes_at_the_same_scale_need_one() -> None:
    with pytest.raises(RecipeError, match='"same-scale" needs --resolution'):
        same_scale(None, {"400×240": 9})


@pytest.mark.parametrize("sizes", [{"800×600": 9, "400×300": 1}, {"2000×1500": 30, "1950×1500": 2}])
@pytest.mark.parametrize("resolution", ["auto", "0.5"])
def test_at_the_same_scale_no_size_is_odd(resolution: str, sizes: dict[str, int]) -> None:
    frame = same_scale(resolution, sizes).frame
    assert frame is not None
    assert frame.scale is not None
    assert not frame.sizes_checked


def test_auto_without_a_defect_is_the_least_work_and_says_so() -> None:
    recipe, (sentence,) = with_frame(read_recipe("accurate", resolution="auto"), [], {"800×800": 9})
    assert recipe == read_recipe("accurate", resolution="auto")
    assert sentence.startswith("resolution: images of 800×800 become 448×448, 1 tile of 448×448; a part costs the net")
    assert "nothing tells whether more would pay: say WIDTHxHEIGHT" in sentence
    long, _ = with_frame(read_recipe("accurate", resolution="auto"), [], {"4096×256": 9})
    assert isinstance(long, Patches)
    assert long.frame_size == (1792, 112)  # its aspect, at no more work


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((500, 500), []),  # hardly more than one tile shows
        ((800, 800), [(800, 800)]),
        ((1200, 1200), [(736, 736), (1200, 1200)]),
        ((4000, 3000), [(1360, 1024), (3584, 2688)]),  # the last is as large as may be
        ((4096, 256), [(2704, 176), (4096, 256)]),
    ],
)
def test_without_masks_larger_frames_are_tried(size: tuple[int, int], expected: list[tuple[int, int]]) -> None:
    recipe, sizes = read_recipe("accurate", resolution="auto"), {f"{size[0]}×{size[1]}": 9}
    assert [larger.frame_size for larger in larger_frames(recipe, [DEFECT], sizes)] == expected


def test_without_masks_larger_scales_are_tried_of_many_sizes() -> None:
    recipe = read_recipe("fast", resolution="auto")
    scales = [larger.frame.scale for larger in larger_frames(recipe, [DEFECT], MANY) if larger.frame]
    assert scales == pytest.approx([(224 / 480_000**0.5) ** 0.5, 1.0])  # of the image with the most pixels


@pytest.mark.parametrize("resolution", [None, "0.5"])
def test_nothing_is_tried_where_the_frame_is_known(resolution: str | None) -> None:
    assert larger_frames(read_recipe("accurate", resolution=resolution), [DEFECT], LARGE) == []
    assert larger_frames(read_recipe("accurate", resolution="auto"), spotted((2000, 1500), 20), LARGE) == []
    assert larger_frames(read_recipe("accurate", resolution="auto"), [], LARGE) == []
    assert larger_frames(read_recipe("baseline"), [DEFECT], LARGE) == []
