"""Features of every patch, and the share of it that is defective: what a regression of patches learns from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.hypercolumn import MEAN_WEIGHT, grid_window
from training.data.masks import coverage
from training.data.samples import Sample
from training.data.training_set import TrainingSet, available
from training.estimators.network import fresh_network
from training.features.augmentation import flipped, flipped_coverage
from training.features.extraction import Features, ImageLoader, compute_features, tile_loader
from training.features.imagenet import Trunk
from training.features.measuring import Measures, measure_images
from training.progress import Advance, no_progress
from training.recipe import Patches
from training.synthetic import synthesise
from training.training_run import TrainingRun

Floats = NDArray[np.float32]


def patch_grid(recipe: Patches) -> tuple[int, int]:
    """Height and width of the grid of patches that an image is divided into; P is their product."""
    width, height = recipe.frame_size
    return height // recipe.hypercolumn.stride, width // recipe.hypercolumn.stride


@dataclass(frozen=True, eq=False)
class PatchInputs:
    """The images that features are computed of, and what is known of their patches.

    Rows are N samples as they are, then all of them in each flipped copy: V·N in all.
    """

    training_set: TrainingSet
    loaders: Sequence[ImageLoader]
    """V·N."""
    coverage: Floats
    """V·N×P: the defective share of each patch; NaN where an anomaly has no mask, −1 where a patch doesn't count."""
    measures: Measures
    """Of the real samples, for the gate."""

    def one_tile_each(self, recipe: Patches) -> tuple[list[ImageLoader], Floats]:
        """For what sees images of one tile: that of each image with the most of its defect, else one drawn by the seed;
        and its patches' coverage, V·N×P."""
        if recipe.tiles == 1:
            return list(self.loaders), self.coverage
        rng, tiling = np.random.default_rng(recipe.seed), recipe.tiling
        loaders: list[ImageLoader] = []
        shares: list[Floats] = []
        for load, known in zip(self.loaders, self.coverage.reshape(-1, *patch_grid(recipe)), strict=True):
            tiles = tiling.cut(known, recipe.hypercolumn.stride)
            defective = [float(np.nansum(tile.clip(min=0))) for tile in tiles]
            chosen = int(np.argmax(defective)) if any(defective) else int(rng.integers(len(tiles)))
            loaders.append(tile_loader(load, tiling, chosen))
            shares.append(tiles[chosen].ravel())
        return loaders, np.stack(shares)


def patch_inputs(run: TrainingRun, recipe: Patches) -> PatchInputs:
    """Every image, its flipped copies and the synthetic anomalies."""
    training_set, loaders, shares = _with_synthetic(
        run, recipe, run.images.loaders, _known_coverage(run.dataset.samples, patch_grid(recipe), run.method.use_masks)
    )
    if run.roi:
        shares[:, ~run.roi.patches(recipe.hypercolumn.stride)] = -1
    copies = flipped(loaders, recipe.flips, recipe.max_images // recipe.tiles)
    shown = [loader for copy in copies for loader in copy]
    known = flipped_coverage(shares, len(copies)).reshape(len(shown), -1)
    with run.reporter.task("measuring images", len(run.dataset.samples)) as advance:
        measures = measure_images(run.images, advance)
    return PatchInputs(training_set, shown, known, measures)


def patch_features(
    inputs: PatchInputs, trunk: Trunk, recipe: Patches, device: str, advance: Advance = no_progress
) -> tuple[Features, Floats, Floats]:
    """C features of each of an image's P patches, V·N×P×C, by these convolutions; the gate's features N×F; and the
    means of an image's patches, V·N×C."""
    network = fresh_network(trunk, recipe.hypercolumn, recipe.seed, device)
    deepest, count = recipe.hypercolumn.widths[-1], len(inputs.training_set.samples)
    cells: list[list[Floats]] = [[] for _ in range(count)]

    def watch(image: int, tile: Floats) -> None:
        if image < count:
            cells[image].append(grid_features(tile.reshape(-1, tile.shape[-1]), deepest))

    features = compute_features(
        lambda pixels: network.columns(network.layers(network.normalised(pixels))).permute(0, 2, 3, 1),  # n×h×w×C
        inputs.loaders,
        device,
        advance,
        tiling=recipe.tiling,
        tiles=recipe.tiles,
        watch=watch,
    )
    width, height = recipe.frame_size
    side = recipe.hypercolumn.cells(recipe.input_size // recipe.hypercolumn.stride)
    pooled = [recipe.tiling.pool_cells(np.stack(tiles), height, width, side) for tiles in cells]
    features = features.reshape(len(features), -1, features.shape[-1])
    return features, np.stack(pooled), np.stack([patches.mean(axis=0) for patches in features])


def grid_features(patches: Floats, width: int) -> Floats:
    """Of one image's patches P×C the last `width` features in each cell of a coarse grid: F values, as
    `model.network.VGG16CAM.grid_features` gives them."""
    side = math.isqrt(len(patches))
    window, stride = grid_window(side)
    maps = np.asarray(patches[:, -width:]).T.reshape(width, side, side)
    starts = range(0, side - window + 1, stride)
    cells = np.array([[maps[:, y : y + window, x : x + window].mean((1, 2)) for x in starts] for y in starts])
    return np.asarray((cells + MEAN_WEIGHT * cells.mean((0, 1))).transpose(2, 0, 1).ravel())


def _known_coverage(samples: Sequence[Sample], grid: tuple[int, int], use_masks: bool) -> Floats:
    """The defective share of each patch, N×h×w: 0 on good images, NaN on anomalies whose mask isn't known."""
    shares = np.zeros((len(samples), *grid), np.float32)
    masked = [i for i, sample in enumerate(samples) if sample.mask is not None and use_masks]
    shares[masked] = coverage([samples[i] for i in masked], *grid)
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
        side = recipe.input_size // recipe.hypercolumn.stride
        made = synthesise(samples, loaders, recipe.seed, side, recipe.tiling, run.roi)
    return (
        TrainingSet(samples + made.samples, np.concatenate([indices, made.source]), anomalies),
        loaders + made.loaders(loaders),
        np.concatenate([shares, made.placed(shares.shape[1:], recipe.hypercolumn.stride)]),
    )
