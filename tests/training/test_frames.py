"""Frames of several tiles: what is served is what was trained, with defects that no single tile would show."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.errors import DataError
from model.tiles import scaled
from tests.training.conftest import save, tiny_patches, training_run
from tests.training.fitted import Fit
from training.data.dataset import Dataset, check_samples
from training.data.masks import Mask
from training.data.samples import find_samples
from training.evaluation.evaluate import inspect
from training.features.imagenet import Trunk
from training.recalibrate import choose_method
from training.recipe import Patches
from training.resolution import with_frame

SIZE = (400, 240)
GOOD, BAD = 12, 8


def strip(seed: int, *, defective: bool) -> tuple[Image.Image, Image.Image]:
    """Gray noise, 400×240, with a bright spot of 12×12 anywhere; and its mask."""
    rng = np.random.default_rng(seed)
    pixels, mask = rng.integers(60, 120, (240, 400, 3), dtype=np.uint8), np.zeros((240, 400), np.uint8)
    if defective:
        row, column = rng.integers(0, 228), rng.integers(0, 388)
        pixels[row : row + 12, column : column + 12] = 255
        mask[row : row + 12, column : column + 12] = 255
    return Image.fromarray(pixels), Image.fromarray(mask)


@pytest.fixture(scope="module")
def strips(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("strips")
    for i in range(GOOD):
        save(root / "good" / f"{i:03}.png", strip(i, defective=False)[0])
    for i in range(BAD):
        image, mask = strip(100 + i, defective=True)
        save(root / "spot" / f"{i:03}.png", image)
        save(root / "ground_truth" / "spot" / f"{i:03}_mask.png", mask)
    return check_samples(find_samples(root))


def recipe_for(dataset: Dataset, resolution: str = "0.5", **changes: object) -> Patches:
    recipe, _ = with_frame(tiny_patches(resolution=resolution, **changes), dataset.samples, dataset.sizes)
    assert isinstance(recipe, Patches)
    return recipe


OTHERS = {"flips": 1}, {"trunk": "narrow", "other_sizes": "same-scale"}, {"anomalies": "both"}


@pytest.fixture(scope="module", params=OTHERS, ids=str)
def fitted(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    strips: Dataset,
    trunk: Trunk,
    few_narrowing_images: None,
) -> Fit:
    choices = dict(request.param)
    anomalies = choices.pop("anomalies", "real")
    run = training_run(strips, trunk, recipe_for(strips, **choices), anomalies=anomalies)
    return Fit.of(run, tmp_path_factory.mktemp("store"), "strips")


def test_the_version_has_the_frame_and_what_pools_it_best(fitted: Fit) -> None:
    manifest = fitted.detector().manifest
    recipe = fitted.estimator.recipe
    assert isinstance(recipe, Patches)
    assert recipe.tiles > 1
    assert manifest.preprocessing.frame == recipe.frame
    assert manifest.preprocessing.input_size == recipe.input_size
    assert manifest.pooling == fitted.pipeline.post_processor.pooling
    assert manifest.network.head_apart


@pytest.mark.parametrize("engine", ["torch", "onnxruntime"])
def test_what_is_served_is_what_was_trained(fitted: Fit, strips: Dataset, engine: str) -> None:
    """Map, image head and gate, of every image."""
    detector = fitted.detector(engine)
    for sample, (expected, distance) in zip(strips.samples, fitted.trained(), strict=True):
        image = detector.read_image(sample.path.read_bytes())
        output = detector.run(image.pixels)
        assert output.evidence == pytest.approx(expected, abs=2e-3)
        assert detector.appearance
        assert detector.appearance.distance(output.features) == pytest.approx(distance, rel=1e-3)


def test_int8_is_calibrated_on_whole_frames(fitted: Fit, strips: Dataset) -> None:
    agreement = fitted.detector("onnxruntime", "int8").variant.agreement
    assert agreement is not None
    assert agreement.images == len(strips.samples)


def test_an_image_of_another_size_is_odd_or_scaled_alike(fitted: Fit, strips: Dataset, tmp_path: Path) -> None:
    sample, frame = strips.samples[0], fitted.detector().manifest.preprocessing.frame
    assert frame is not None
    alike = frame.scale is not None
    assert alike == (fitted.estimator.recipe.other_sizes == "same-scale")
    assert inspect(fitted.detector(), sample)[1].inspectable
    image = Image.open(sample.path)
    for size in ((SIZE[0] * 2, SIZE[1] * 2), (SIZE[0] // 2, SIZE[1] // 2), (SIZE[0], SIZE[0])):
        image.resize(size).save(tmp_path / "other.png")
        other = fitted.detector().read_image((tmp_path / "other.png").read_bytes())
        output = fitted.detector().run(other.pixels)
        found = fitted.detector().inspectability(other.pixels, output.features, size)
        assert bool({"size", "aspect"} & {odd.check for odd in found.odd}) == (not alike)
        expected = tuple(scaled(side, frame.scale) for side in size) if frame.scale else fitted.detector().frame_size
        assert other.pixels.shape[1::-1] == expected


def test_a_version_for_any_size_takes_no_region_of_interest(fitted: Fit, strips: Dataset) -> None:
    manifest = fitted.detector().manifest
    assert manifest.preprocessing.frame is not None
    frame = replace(manifest.preprocessing.frame, scale=0.5)
    manifest = replace(manifest, preprocessing=replace(manifest.preprocessing, frame=frame))
    roi = Mask.of(np.ones((SIZE[1], SIZE[0]), np.bool_))
    others = replace(strips, digests=[*strips.digests[1:], "0"], roi=roi)
    with pytest.raises(DataError, match="no region of interest can be fixed in it"):
        choose_method(manifest, others, None, None)


def test_golden_images_are_tiles(fitted: Fit) -> None:
    manifest = fitted.detector().manifest
    for name in manifest.variant("float32").golden.log_odds:
        with Image.open(fitted.version / name) as image:
            assert image.size == (manifest.preprocessing.input_size,) * 2


def test_one_tile_is_what_there_was_without_a_resolution(strips: Dataset) -> None:
    square, _ = with_frame(tiny_patches(resolution="64x64"), [], {"480×480": 3})
    assert square == tiny_patches(resolution="64x64")
    assert with_frame(tiny_patches(), strips.samples, strips.sizes) == (tiny_patches(), [])
