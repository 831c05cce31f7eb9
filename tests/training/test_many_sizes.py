"""Training on images of many sizes at one scale: each has its own tiles, and what is served is what was trained."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.detector import load_detector
from model.store import Store
from model.tiles import scaled
from tests.training.conftest import save, tiny_patches, training_run
from tests.training.fitted import Fit
from training.data.dataset import Dataset, check_samples
from training.data.samples import find_samples
from training.estimators.factory import estimator_for
from training.estimators.patches import PreparedPatches
from training.evaluation.evaluate import evaluate, inspect
from training.evaluation.map_sizes import padded, without_padding
from training.features.imagenet import Trunk
from training.features.uneven import UnevenFeatures
from training.frame_sizes import frame_of, patch_grid
from training.recalibrate import choose_method, recalibrate
from training.resolution import with_frame

SIZES = (240, 144), (64, 208), (80, 80)
"""Scaled by half: several tiles, and fewer pixels than a tile in one direction, or in both."""
GOOD, BAD = 9, 6


def strip(seed: int, *, defective: bool) -> tuple[Image.Image, Image.Image]:
    """Gray noise of one of the sizes, with a bright spot of 16×16 anywhere; and its mask."""
    rng, (width, height) = np.random.default_rng(seed), SIZES[seed % len(SIZES)]
    pixels, mask = rng.integers(60, 120, (height, width, 3), dtype=np.uint8), np.zeros((height, width), np.uint8)
    if defective:
        row, column = rng.integers(0, height - 16), rng.integers(0, width - 16)
        pixels[row : row + 16, column : column + 16] = 255
        mask[row : row + 16, column : column + 16] = 255
    return Image.fromarray(pixels), Image.fromarray(mask)


def write(root: Path, seed: int = 0) -> Dataset:
    for i in range(GOOD):
        save(root / "good" / f"{i:03}.png", strip(seed + i, defective=False)[0])
    for i in range(BAD):
        image, mask = strip(seed + 100 + i, defective=True)
        save(root / "spot" / f"{i:03}.png", image)
        save(root / "ground_truth" / "spot" / f"{i:03}_mask.png", mask)
    return check_samples(find_samples(root))


@pytest.fixture(scope="module")
def strips(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write(tmp_path_factory.mktemp("strips"))


CHOICES = {"flips": 2}, {"use_masks": False, "anomalies": "both"}, {"trunk": "narrow", "other_sizes": "same-scale"}


@pytest.fixture(scope="module", params=CHOICES, ids=str)
def fitted(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    strips: Dataset,
    trunk: Trunk,
    few_narrowing_images: None,
) -> Fit:
    choices = dict(request.param)
    own = {name: choices.pop(name) for name in ("anomalies", "use_masks") if name in choices}
    recipe, _ = with_frame(tiny_patches(resolution="0.5", **choices), strips.samples, strips.sizes)
    run = training_run(strips, trunk, recipe, **own)
    return Fit.of(run, tmp_path_factory.mktemp("store"), "strips")


@pytest.mark.parametrize("engine", ["torch", "onnxruntime"])
def test_what_is_served_is_what_was_trained(fitted: Fit, strips: Dataset, engine: str) -> None:
    """Map, image head, gate, and the heatmap's size, of every image."""
    detector = fitted.detector(engine)
    for sample, (whole, distance) in zip(strips.samples, fitted.trained(), strict=True):
        image = detector.read_image(sample.path.read_bytes())
        assert image.pixels.shape[1::-1] == frame_of(fitted.recipe, sample)
        output, expected = detector.run(image.pixels), without_padding(whole)
        assert output.evidence.shape == expected.shape == patch_grid(fitted.recipe, sample)
        assert output.evidence == pytest.approx(expected, abs=2e-3)
        assert detector.manifest.pooling(output.evidence) == pytest.approx(detector.manifest.pooling(whole), abs=2e-3)
        assert detector.appearance
        assert detector.appearance.distance(output.features) == pytest.approx(distance, rel=1e-3)
        assert detector.heatmap(output).shape == image.pixels.shape[:2]


def test_held_out_maps_are_of_each_image_s_own_size(fitted: Fit) -> None:
    for prediction in fitted.pipeline.predictions:
        assert prediction.evidence.shape == patch_grid(fitted.recipe, prediction.sample)
        assert np.isfinite(prediction.evidence).all()


def test_features_take_the_room_of_the_images_own_patches(fitted: Fit, strips: Dataset) -> None:
    if fitted.recipe.trunk == "narrow":  # computed fit by fit
        return
    assert isinstance(fitted.estimator, PreparedPatches)
    assert isinstance(fitted.estimator.features, UnevenFeatures)
    anomalies = fitted.pipeline.training_set.anomalies
    kept = fitted.estimator.features.rows.nbytes
    assert estimator_for(fitted.recipe).features_size(strips.samples, anomalies) == kept


def test_sizes_of_training_are_known_and_others_are_odd_or_scaled_alike(
    fitted: Fit, strips: Dataset, tmp_path: Path
) -> None:
    same_scale = fitted.recipe.other_sizes == "same-scale"
    detector = fitted.detector()
    for sample in strips.samples[: len(SIZES)]:
        assert not {"size", "aspect"} & {odd.check for odd in inspect(detector, sample)[1].odd}
    for size in ((600, 480), (832, 64)):  # larger and longer than any
        Image.open(strips.samples[0].path).resize(size).save(tmp_path / "other.png")
        image = detector.read_image((tmp_path / "other.png").read_bytes())
        found = detector.inspectability(image.pixels, detector.run(image.pixels).features, size)
        assert bool({"size", "aspect"} & {odd.check for odd in found.odd}) == (not same_scale)
        assert image.pixels.shape[1::-1] == (scaled(size[0], 0.5), scaled(size[1], 0.5))


def test_the_spots_are_found_and_lie_where_they_are(fitted: Fit) -> None:
    figures = fitted.detector().variant.figures
    assert figures is not None
    if fitted.pipeline.training_set.anomalies == "real":
        assert figures.auroc.value > 0.8
    assert fitted.detector("onnxruntime", "int8").variant.agreement is not None


def test_a_version_is_recalibrated_on_images_of_many_sizes(fitted: Fit, trunk: Trunk, tmp_path: Path) -> None:
    others = write(tmp_path / "others", seed=1000)
    method = choose_method(fitted.detector().manifest, others, None, None)
    run = training_run(others, trunk, fitted.recipe)
    evaluation = evaluate(fitted.version, others, "cpu", run.reporter)
    recalibrated = recalibrate(evaluation, others, method, Store(fitted.version.parent.parent), run.reporter)
    for sample, prediction in zip(others.samples, recalibrated.predictions, strict=True):
        assert prediction.evidence.shape == patch_grid(fitted.recipe, sample)
    load_detector(recalibrated.version, "cpu")


def test_maps_of_many_sizes_are_padded_and_their_own_again() -> None:
    maps = [np.full(shape, value, np.float32) for value, shape in enumerate([(2, 3), (4, 1), (1, 1)])]
    whole = padded(maps)
    assert whole.shape == (3, 4, 3)
    assert (np.isneginf(whole).sum((1, 2)) == [12 - 6, 12 - 4, 12 - 1]).all()
    for own, each in zip(maps, whole, strict=True):
        assert np.array_equal(without_padding(each), own)
    assert np.array_equal(padded(maps[:1] * 2), np.stack(maps[:1] * 2))
