"""What a preset makes of images: a learner, which trains on any part of them."""

from functools import partial
from typing import Protocol

import numpy as np

from model.errors import RecipeError
from model.network import VGG16CAM
from training.data.dataset import Dataset
from training.data.masks import coverage
from training.data.splits import Indices
from training.data.training_set import Anomalies, TrainingSet, available
from training.estimators.fine_tuning import PublishedLearner
from training.estimators.image_head import Context
from training.estimators.network import fresh_network
from training.estimators.patches import PatchLearner
from training.evaluation.post_processing import Maps
from training.features.augmentation import mirrored_coverage, views_of
from training.features.extraction import Picture, compute_features, picture_of
from training.features.imagenet import Trunk
from training.progress import Advance, Reporter
from training.recipe import Places, Published, Recipe
from training.synthetic import synthesise


class Model(Protocol):
    """A trained network."""

    def maps(self, indices: Indices) -> Maps:
        """Evidence maps n×h×w of the material's samples at `indices`, without context."""

    def context(self, indices: Indices) -> Context | None:
        """Log-odds n of the same samples as wholes; None where the recipe has no such thing."""

    def network(self, context_weight: float = 0.0) -> VGG16CAM:
        """The whole network, on the CPU, with the context added to every place, so many times."""


class Learner(Protocol):
    """TrainingSet with its features."""

    @property
    def material(self) -> TrainingSet:
        """What the indices mean."""

    @property
    def steps(self) -> int:
        """How often `learn` calls `advance`, at most."""

    def learn(self, chosen: Indices, advance: Advance = ...) -> Model:
        """Train on these samples alone. Raises RecipeError."""


def prepare(
    found: Dataset,
    trunk: Trunk,
    recipe: Recipe,
    device: str,
    reporter: Reporter,
    *,
    anomalies: Anomalies = "real",
    use_masks: bool = True,
) -> Learner:
    """Run the frozen blocks over every image, once. Raises RecipeError where the recipe can't use such anomalies."""
    pictures = [picture_of(sample, recipe.input_size, found.full_scale) for sample in found.samples]
    network = fresh_network(trunk, recipe.hypercolumn, recipe.seed, device)
    if isinstance(recipe, Published):
        if anomalies != "real":
            raise RecipeError(f"preset {recipe.name} learns from real anomalies only")
        with reporter.task("frozen blocks", len(pictures)) as advance:
            features = compute_features(
                lambda pixels: network.frozen(pixels, stop=recipe.frozen_blocks), pictures, device, advance
            )
        material = TrainingSet(found.samples, np.arange(len(found.samples)))
        return PublishedLearner(material, features, trunk, recipe, device)
    return _places(found, pictures, network, trunk, recipe, device, reporter, anomalies, use_masks)


def _places(
    found: Dataset,
    pictures: list[Picture],
    network: VGG16CAM,
    trunk: Trunk,
    recipe: Places,
    device: str,
    reporter: Reporter,
    anomalies: Anomalies,
    use_masks: bool,
) -> PatchLearner:
    side = recipe.input_size // recipe.hypercolumn.stride
    shares = np.zeros((len(pictures), side, side), np.float32)
    masked = [i for i, sample in enumerate(found.samples) if sample.mask is not None and use_masks]
    shares[masked] = coverage([found.samples[i] for i in masked], side, side)
    unknown = [i for i, sample in enumerate(found.samples) if sample.is_anomaly and i not in set(masked)]
    shares[unknown] = np.nan
    anomalies = available(anomalies, found.samples)
    material = TrainingSet(found.samples, np.arange(len(pictures)), anomalies)
    if anomalies != "real":
        with reporter.task("synthetic anomalies", 1):
            made = synthesise(found.samples, pictures, recipe.seed, side)
        material = TrainingSet(found.samples + made.samples, np.concatenate([material.source, made.source]), anomalies)
        pictures = pictures + [partial(np.copy, picture) for picture in made.pictures]
        shares = np.concatenate([shares, made.coverage])
    views = views_of(pictures, recipe.views, recipe.most_pictures)
    shown = [picture for view in views for picture in view]
    with reporter.task("features", len(shown)) as advance:
        columns = compute_features(
            lambda pixels: (
                network.columns(network.layers(network.normalised(pixels))).permute(0, 2, 3, 1).flatten(1, 2)
            ),
            shown,
            device,
            advance,
        )
    known = mirrored_coverage(shares, len(views)).reshape(len(shown), -1)
    return PatchLearner(material, columns, known, trunk, recipe)
