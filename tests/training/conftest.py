"""Small labelled folders, a random trunk, and recipes of either kind that train in seconds."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console

from model.preprocessing import Resizing
from model.trunk_choice import TrunkTrial
from model.weights import trunk_shapes
from training.data.dataset import Dataset, check_samples
from training.data.samples import find_samples
from training.data.splits import Indices
from training.data.training_set import Anomalies
from training.estimators.estimator import FittedEstimator, PreparedEstimator
from training.estimators.factory import estimator_for
from training.estimators.fine_tuning import FineTuningEstimator, PreparedFineTuning
from training.estimators.patch_estimator import PatchEstimator
from training.estimators.patches import PreparedPatches
from training.evaluation.thresholds import BestBalancedAccuracy, Rule
from training.evaluation.trunk_choice import compare
from training.features.imagenet import Trunk
from training.narrow import images
from training.progress import Advance, Reporter, no_progress
from training.recipe import FineTuning, Patches, Recipe
from training.training_run import TrainingRun

MakeFolder = Callable[..., Path]
BEST_BALANCED_ACCURACY: Final = BestBalancedAccuracy()

OWN_FINE_TUNING: Final = """
kind = "fine-tuning"
name = "own"
input_size = 32
reduced_decoding = true
frozen_blocks = 4
batch_size = 8
epochs = 2
stop_at_accuracy = 1.0
learning_rate = 1e-4
class_weights = [1, 1]
test_share = 0.25
threshold = 0.5
seed = 7
"""
"""A preset file of a user's own."""

OWN_PATCHES: Final = """
kind = "patches"
name = "own-patches"
input_size = 64
reduced_decoding = true
hypercolumn = { blocks = [1, 2], stride = 8, image_head = true }
pooling = { top_share = 0.05 }
flips = 0
max_images = 1000
l2_penalty = 0.01
image_l2_penalty = 0.05
good_patches = 200
defect_patches = 10
hard_patches = 60
mining_rounds = 3
pseudo_label_share = 0.01
inner_folds = 3
trunk = "full"
narrow_shares = [0.25]
seed = 7
"""
"""The same for patches; of its eight by eight patches a spot of `part_image` touches four."""


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Nothing a test does reaches the user's cache directory."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMSPECTOR_CACHE", str(folder))
        yield folder


def part_image(seed: int, *, defective: bool, size: int = 48) -> Image.Image:
    """Gray noise; a defective one has a bright spot at its centre."""
    pixels = np.random.default_rng(seed).integers(60, 120, (size, size, 3), dtype=np.uint8)
    if defective:
        pixels[size // 3 : size // 2, size // 3 : size // 2] = 255
    return Image.fromarray(pixels)


def write_folder(root: Path, good: int = 12, bad: int = 5) -> Path:
    """MVTec AD layout with `good` good images and `bad` of each of two kinds, with masks."""
    for i in range(good):
        save(root / ("train" if i % 2 else "test") / "good" / f"{i:03}.png", part_image(i, defective=False))
    for k, kind in enumerate(("scratch", "spot")):
        for i in range(bad):
            save(root / "test" / kind / f"{i:03}.png", part_image(1000 * (k + 1) + i, defective=True))
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


def tiny_fine_tuning(**changes: Any) -> FineTuning:
    """`OWN_FINE_TUNING` with other members."""
    return msgspec.structs.replace(msgspec.toml.decode(OWN_FINE_TUNING, type=FineTuning), **changes)


def tiny_patches(**changes: Any) -> Patches:
    """`OWN_PATCHES` with other members."""
    return msgspec.structs.replace(msgspec.toml.decode(OWN_PATCHES, type=Patches), **changes)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Twelve good images and ten with a bright spot, of two kinds, with masks."""
    return check_samples(find_samples(write_folder(tmp_path_factory.mktemp("data"))))


@pytest.fixture(scope="session")
def few_narrowing_images() -> Iterator[None]:
    """Trunks are narrowed on three images of each class: in a fraction of a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "OF_EACH", 3)
        yield


@pytest.fixture(scope="session")
def fine_tuning(dataset: Dataset, trunk: Trunk) -> PreparedFineTuning:
    """`dataset`, ready for fine-tuning as `tiny_fine_tuning` says."""
    prepared = prepare(dataset, trunk, tiny_fine_tuning())
    assert isinstance(prepared, PreparedFineTuning)
    return prepared


@pytest.fixture(scope="session")
def patches(dataset: Dataset, trunk: Trunk) -> PreparedPatches:
    """`dataset`, ready for regression as `tiny_patches` says, with masks."""
    return prepare_patches(dataset, trunk)


def prepare_patches(dataset: Dataset, trunk: Trunk, recipe: Patches | None = None, **choices: Any) -> PreparedPatches:
    """`choices`: anomalies and use_masks."""
    prepared = prepare(dataset, trunk, recipe or tiny_patches(), **choices)
    assert isinstance(prepared, PreparedPatches)
    return prepared


def even_features(prepared: PreparedPatches) -> NDArray[np.float32]:
    """Features V·N×P×C of images that all have as many patches."""
    assert isinstance(prepared.features, np.ndarray)
    return prepared.features


def prepare(dataset: Dataset, trunk: Trunk, recipe: Recipe, **choices: Any) -> PreparedEstimator:
    """Features of the dataset; `choices` are those of `training_run`."""
    return estimator_for(recipe).prepare(training_run(dataset, trunk, recipe, **choices))


def training_run(
    dataset: Dataset,
    trunk: Trunk,
    recipe: Recipe,
    *,
    rule: Rule = BEST_BALANCED_ACCURACY,
    defect_rate: float | None = None,
    anomalies: Anomalies = "real",
    use_masks: bool = True,
) -> TrainingRun:
    """What the commands make of their arguments."""
    method = estimator_for(recipe).method(dataset.samples, rule, defect_rate=defect_rate, use_masks=use_masks)
    return TrainingRun(dataset, recipe, method, trunk, quiet(), anomalies=anomalies)


def fitting(prepared: PreparedEstimator, fit: Callable[[Indices, Advance], FittedEstimator]) -> PreparedEstimator:
    """A copy whose networks come from `fit`, in its cross-validation too."""
    copied = copy.copy(prepared)
    object.__setattr__(copied, "fit", lambda indices, advance=no_progress: fit(indices, advance))  # it is frozen
    return copied


def no_narrow_trunk_passes(share: float, *verdicts: Any) -> TrunkTrial:
    """In place of `compare`, where trunks are compared: what it finds, but for that."""
    return replace(compare(share, *verdicts), passed=share == 1)


def replace_prepare(monkeypatch: pytest.MonkeyPatch, work: Callable[..., object]) -> None:
    """Let `work` stand where a command begins to compute."""
    for estimator in (FineTuningEstimator, PatchEstimator):
        monkeypatch.setattr(estimator, "prepare", work)


def quiet() -> Reporter:
    return Reporter(Console(quiet=True))


def network_inputs(dataset: Dataset, size: int) -> np.ndarray:
    """The images as the network sees them, uint8 N×S×S×3."""
    resizing = Resizing(size, dataset.full_scale, reduced=True)
    return np.stack([resizing(sample.path.read_bytes()).pixels for sample in dataset.samples])
