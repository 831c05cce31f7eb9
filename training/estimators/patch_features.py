"""Features of every patch, and the share of it that is defective: what a regression of patches learns from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from model.hypercolumn import MEAN_WEIGHT, grid_window
from training.data.samples import Sample
from training.data.training_set import TrainingSet, available
from training.estimators.network import fresh_network
from training.features.augmentation import flipped, flipped_coverage
from training.features.extraction import ImageLoader, PatchFeatures, compute_patch_features, tile_loader
from training.features.imagenet import Trunk
from training.features.measuring import Measures, measure_images
from training.frame_sizes import frame_of, patch_grid, patches_of, tiles_of
from training.progress import Advance, no_progress
from training.recipe import Patches
from training.synthetic import synthesise
from training.training_run import TrainingRun

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PatchInputs:
    """The images that features are computed of, and what is known of their patches.

    Rows are N samples as they are, then all of them in each flipped copy: V·N in all.
    """

    training_set: TrainingSet
    loaders: Sequence[ImageLoader]
    """V·N."""
    coverage: Floats
    """V·N×P: the defective share of each patch; NaN where an anomaly has no mask, −1 where a patch doesn't count, or an
    image has no more."""
    measures: Measures
    """Of the real samples, for the gate."""

    def one_tile_each(self, recipe: Patches) -> tuple[list[ImageLoader], Floats]:
        """For what sees images of one tile: that of each image with the most of its defect, else one drawn by the seed;
        and its patches' coverage, V·N×P."""
        rng, tiling = np.random.default_rng(recipe.seed), recipe.tiling
        loaders: list[ImageLoader] = []
        shares: list[Floats] = []
        grids = [patch_grid(recipe, sample) for sample in self.training_set.samples]
        for load, known, grid in zip(self.loaders, self.coverage, cycle(grids), strict=False):
            tiles = tiling.cut(known[: math.prod(grid)].reshape(grid), recipe.hypercolumn.stride, beside=-1)
            defective = [float(np.nansum(tile.clip(min=0))) for tile in tiles]
            chosen = int(np.argmax(defective)) if any(defective) else int(rng.integers(len(tiles)))
            loaders.append(tile_loader(load, tiling, chosen))
            shares.append(tiles[chosen].ravel())
        return loaders, np.stack(shares)


def patch_inputs(run: TrainingRun, recipe: Patches) -> PatchInputs:
    """Every image, its flipped copies and the synthetic anomalies."""
    known = [_known_coverage(recipe, sample, use_mask=run.method.use_masks) for sample in run.dataset.samples]
    training_set, loaders, shares = _with_synthetic(run, recipe, run.images.loaders, known)
    if run.roi:
        for share in shares:
            share[~run.roi.patches(recipe.hypercolumn.stride)] = -1
    copies = flipped(loaders, recipe.flips, most_images(recipe, training_set.samples))
    shown = [loader for copy in copies for loader in copy]
    coverage = _rows(flipped_coverage(shares, len(copies)))
    with run.reporter.task("measuring images", len(run.dataset.samples)) as advance:
        measures = measure_images(run.images, advance)
    return PatchInputs(training_set, shown, coverage, measures)


def most_images(recipe: Patches, samples: Sequence[Sample]) -> int:
    """Number of images and flipped copies together that may be learnt from: of one tile, as many as the recipe says."""
    tiles = sum(tiles_of(recipe, sample) for sample in samples)
    return recipe.max_images * len(samples) // tiles


def patch_features(
    inputs: PatchInputs, trunk: Trunk, recipe: Patches, device: str, advance: Advance = no_progress
) -> tuple[PatchFeatures, Floats, Floats]:
    """C features of each of an image's P patches, V·N×P×C, by these convolutions; the gate's features N×F; and the
    means of an image's patches, V·N×C."""
    samples = inputs.training_set.samples
    network = fresh_network(trunk, recipe.hypercolumn, recipe.seed, device)
    deepest, count = recipe.hypercolumn.widths[-1], len(samples)
    cells: list[list[Floats]] = [[] for _ in range(count)]

    def watch(image: int, tile: Floats) -> None:
        if image < count:
            cells[image].append(grid_features(tile.reshape(-1, tile.shape[-1]), deepest))

    features = compute_patch_features(
        lambda pixels: network.columns(network.layers(network.normalised(pixels))).permute(0, 2, 3, 1),  # n×h×w×C
        inputs.loaders,
        [patches_of(recipe, sample) for sample in samples] * (len(inputs.loaders) // count),
        device,
        advance,
        tiling=recipe.tiling,
        tiles=recipe.tiles,
        watch=watch,
    )
    side = recipe.hypercolumn.cells(recipe.input_size // recipe.hypercolumn.stride)
    frames = [frame_of(recipe, sample) for sample in samples]
    pooled = [
        recipe.tiling.pool_cells(np.stack(tiles), height, width, side)
        for tiles, (width, height) in zip(cells, frames, strict=True)
    ]
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


def _known_coverage(recipe: Patches, sample: Sample, *, use_mask: bool) -> Floats:
    """The defective share of each patch, h×w: 0 on a good image, NaN on an anomaly whose mask isn't known."""
    grid = patch_grid(recipe, sample)
    if sample.mask is not None and use_mask:
        return sample.mask.coverage(*grid).copy()
    return np.full(grid, np.nan if sample.is_anomaly else 0, np.float32)


def _rows(shares: Sequence[Floats]) -> Floats:
    """The shares, n of h×w, as rows n×P of the largest's; beyond an image's own they don't count."""
    rows = np.full((len(shares), max(share.size for share in shares)), -1, np.float32)
    for row, share in zip(rows, shares, strict=True):
        row[: share.size] = share.ravel()
    return rows


def _with_synthetic(
    run: TrainingRun, recipe: Patches, loaders: list[ImageLoader], shares: list[Floats]
) -> tuple[TrainingSet, list[ImageLoader], list[Floats]]:
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
        shares + made.placed([patch_grid(recipe, sample) for sample in made.samples], recipe.hypercolumn.stride),
    )
