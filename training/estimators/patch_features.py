"""Features of every patch, and the share of it that is defective: what a regression of patches learns from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from model.hypercolumn import MEAN_WEIGHT, grid_window
from training.data.masks import coverage
from training.data.samples import Sample
from training.data.training_set import TrainingSet, available
from training.estimators.network import fresh_network
from training.features.augmentation import flipped, flipped_coverage
from training.features.extraction import Features, ImageLoader, compute_features, image_loader
from training.features.imagenet import Trunk
from training.features.measuring import Measures, measure_images
from training.progress import Advance, no_progress
from training.recipe import Patches
from training.synthetic import synthesise
from training.training_run import TrainingRun

Floats = NDArray[np.float32]


def patches_per_side(recipe: Patches) -> int:
    """Side of the square of patches that an image is divided into; P is its square."""
    return recipe.input_size // recipe.hypercolumn.stride


@dataclass(frozen=True, eq=False)
class PatchInputs:
    """The images that features are computed of, and what is known of their patches.

    Rows are N samples as they are, then all of them in each flipped copy: V·N in all.
    """

    training_set: TrainingSet
    loaders: Sequence[ImageLoader]
    """V·N."""
    coverage: Floats
    """V·N×P: the defective share of each patch; NaN where an anomaly has no mask."""
    measures: Measures
    """Of the real samples, for the gate."""


def patch_inputs(run: TrainingRun, recipe: Patches) -> PatchInputs:
    """Every image, its flipped copies and the synthetic anomalies."""
    side = patches_per_side(recipe)
    loaders = [image_loader(sample, run.resizing) for sample in run.dataset.samples]
    training_set, loaders, shares = _with_synthetic(
        run, recipe, loaders, _known_coverage(run.dataset.samples, side, run.method.use_masks)
    )
    copies = flipped(loaders, recipe.flips, recipe.max_images)
    shown = [loader for copy in copies for loader in copy]
    known = flipped_coverage(shares, len(copies)).reshape(len(shown), -1)
    with run.reporter.task("measuring images", len(run.dataset.samples)) as advance:
        measures = measure_images(run.dataset.samples, run.resizing, advance)
    return PatchInputs(training_set, shown, known, measures)


def patch_features(
    trunk: Trunk, recipe: Patches, loaders: Sequence[ImageLoader], device: str, advance: Advance = no_progress
) -> Features:
    """C features of each of an image's P patches, n×P×C, by these convolutions."""
    network = fresh_network(trunk, recipe.hypercolumn, recipe.seed, device)
    return compute_features(
        lambda pixels: (
            network.columns(network.layers(network.normalised(pixels))).permute(0, 2, 3, 1).flatten(1, 2)  # n×P×C
        ),
        loaders,
        device,
        advance,
    )


def grid_features(patches: Floats, width: int) -> Floats:
    """Of one image's patches P×C the last `width` features in each cell of a coarse grid: F values, as
    `model.network.VGG16CAM.grid_features` gives them."""
    side = math.isqrt(len(patches))
    window, stride = grid_window(side)
    maps = np.asarray(patches[:, -width:]).T.reshape(width, side, side)
    starts = range(0, side - window + 1, stride)
    cells = np.array([[maps[:, y : y + window, x : x + window].mean((1, 2)) for x in starts] for y in starts])
    return np.asarray((cells + MEAN_WEIGHT * cells.mean((0, 1))).transpose(2, 0, 1).ravel())


def _known_coverage(samples: Sequence[Sample], side: int, use_masks: bool) -> Floats:
    """The defective share of each patch, N×side×side: 0 on good images, NaN on anomalies whose mask isn't known."""
    shares = np.zeros((len(samples), side, side), np.float32)
    masked = [i for i, sample in enumerate(samples) if sample.mask is not None and use_masks]
    shares[masked] = coverage([samples[i] for i in masked], side, side)
    unknown = [i for i, sample in enumerate(samples) if sample.is_anomaly and i not in set(masked)]
    shares[unknown] = np.nan
    return shares


def _with_synthetic(
    run: TrainingRun, recipe: Patches, loaders: list[ImageLoader], shares: Floats
) -> tuple[TrainingSet, list[ImageLoader], Floats]:
    """The real images, and after them the synthetic anomalies where those are asked for."""
    samples = run.dataset.samples
    anomalies = available(run.anomalies, samples)
    indices = np.arange(len(samples))
    if anomalies == "real":
        return TrainingSet(samples, indices, anomalies), loaders, shares
    with run.reporter.task("synthetic anomalies", 1):
        made = synthesise(samples, loaders, recipe.seed, shares.shape[1])
    return (
        TrainingSet(samples + made.samples, np.concatenate([indices, made.source]), anomalies),
        loaders + [partial(np.copy, image) for image in made.images],
        np.concatenate([shares, made.coverage]),
    )
