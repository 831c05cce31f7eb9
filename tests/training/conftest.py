"""Small labelled folders, a random trunk, and recipes of either kind that train in seconds."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from model.weights import trunk_shapes
from training.data.dataset import Dataset, survey
from training.data.samples import find_samples
from training.estimators.estimator import prepare
from training.estimators.fine_tuning import PublishedLearner
from training.estimators.patches import PatchLearner
from training.features.imagenet import Trunk
from training.progress import Reporter
from training.recipe import Places, Published

MakeFolder = Callable[..., Path]

OWN_PRESET: Final = """
kind = "published"
name = "own"
input_size = 32
frozen_blocks = 4
batch_size = 8
epochs = 2
stop_at_accuracy = 1.0
learning_rate = 1e-4
class_weights = [1, 1]
held_out = 0.25
threshold = 0.5
seed = 7
"""
"""A preset file of a user's own."""

OWN_PLACES: Final = """
kind = "places"
name = "own-places"
input_size = 64
hypercolumn = { blocks = [1, 2], stride = 8, context = true }
pooling = { top_share = 0.05 }
views = 1
most_pictures = 1000
penalty = 0.01
context_penalty = 0.05
good_places = 200
defect_places = 10
hard_places = 60
rounds = 3
guessed_share = 0.01
inner_folds = 3
seed = 7
"""
"""The same for places; of its eight by eight places a spot of `picture` touches four."""


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Nothing a test does reaches the user's cache directory."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMSPECTOR_CACHE", str(folder))
        yield folder


def picture(seed: int, *, defective: bool, size: int = 48) -> Image.Image:
    """Gray noise; a defective one has a bright spot at its centre."""
    pixels = np.random.default_rng(seed).integers(60, 120, (size, size, 3), dtype=np.uint8)
    if defective:
        pixels[size // 3 : size // 2, size // 3 : size // 2] = 255
    return Image.fromarray(pixels)


def write_folder(root: Path, good: int = 12, bad: int = 5) -> Path:
    """MVTec AD layout with `good` good images and `bad` of each of two kinds, with masks."""
    for i in range(good):
        save(root / ("train" if i % 2 else "test") / "good" / f"{i:03}.png", picture(i, defective=False))
    for k, kind in enumerate(("scratch", "spot")):
        for i in range(bad):
            save(root / "test" / kind / f"{i:03}.png", picture(1000 * (k + 1) + i, defective=True))
            mask = np.zeros((48, 48), dtype=np.uint8)
            mask[16:24, 16:24] = 255
            save(root / "ground_truth" / kind / f"{i:03}_mask.png", Image.fromarray(mask))
    return root


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """`write_folder` into this test's own folder."""
    return partial(write_folder, tmp_path / "product")


def save(path: Path, image: Image.Image) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


@pytest.fixture(scope="session")
def trunk() -> Trunk:
    """He-initialised layers in place of ImageNet's."""
    rng = np.random.default_rng(0)
    layers = {}
    for name, shape in trunk_shapes().items():
        scale = np.float32(np.sqrt(2 / np.prod(shape[1:]))) if len(shape) == 4 else np.float32(0)
        layers[name] = rng.standard_normal(shape, np.float32) * scale
    return layers


def tiny_published(**changes: Any) -> Published:
    """`OWN_PRESET` with other members."""
    return msgspec.structs.replace(msgspec.toml.decode(OWN_PRESET, type=Published), **changes)


def tiny_places(**changes: Any) -> Places:
    """`OWN_PLACES` with other members."""
    return msgspec.structs.replace(msgspec.toml.decode(OWN_PLACES, type=Places), **changes)


@pytest.fixture(scope="session")
def found(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Twelve good images and ten with a bright spot, of two kinds, with masks."""
    return survey(find_samples(write_folder(tmp_path_factory.mktemp("data"))))


@pytest.fixture(scope="session")
def published(found: Dataset, trunk: Trunk) -> PublishedLearner:
    """`found`, ready for fine-tuning as `tiny_published` says."""
    learner = prepare(found, trunk, tiny_published(), "cpu", quiet())
    assert isinstance(learner, PublishedLearner)
    return learner


@pytest.fixture(scope="session")
def places(found: Dataset, trunk: Trunk) -> PatchLearner:
    """`found`, ready for regression as `tiny_places` says, with masks."""
    return prepare_places(found, trunk)


def prepare_places(found: Dataset, trunk: Trunk, recipe: Places | None = None, **choices: Any) -> PatchLearner:
    """`choices`: anomalies and use_masks."""
    learner = prepare(found, trunk, recipe or tiny_places(), "cpu", quiet(), **choices)
    assert isinstance(learner, PatchLearner)
    return learner


def quiet() -> Reporter:
    return Reporter(Console(quiet=True))
