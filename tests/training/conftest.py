"""Small labelled folders and a random trunk: enough to train on in seconds."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from model.weights import trunk_shapes
from training.dataset import find_samples
from training.imagenet import Trunk
from training.progress import Reporter
from training.recipe import Recipe
from training.survey import survey
from training.trial import Prepared, prepare

MakeFolder = Callable[..., Path]

OWN_PRESET = """
name = "own"
input_size = 32
frozen_blocks = 4
batch_size = 8
epochs = 1
stop_at_accuracy = 1.0
learning_rate = 1e-4
class_weights = [1, 1]
held_out = 0.2
threshold = 0.5
seed = 7
"""
"""A preset file of a user's own."""


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
        scale = np.sqrt(2 / np.prod(shape[1:])) if len(shape) == 4 else 0.0
        layers[name] = (rng.standard_normal(shape) * scale).astype(np.float32)
    return layers


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """Small and quick; it learns the bright spots of `make_folder`."""
    return Recipe(
        name="tiny",
        input_size=32,
        frozen_blocks=4,
        batch_size=8,
        epochs=2,
        stop_at_accuracy=1.0,
        learning_rate=1e-4,
        class_weights=(1.0, 1.0),
        held_out=0.25,
        threshold=0.5,
        seed=7,
    )


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, trunk: Trunk, recipe: Recipe) -> Prepared:
    root = write_folder(tmp_path_factory.mktemp("data"))
    return prepare(survey(find_samples(root)), trunk, recipe, "cpu", quiet())


def quiet() -> Reporter:
    return Reporter(Console(quiet=True))
