"""Features of every image, computed once and kept on disk: what all folds train on."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.cpus import available_cpus
from model.tiles import Tiling
from training.features.cache import CACHE, cache_folder, claimed
from training.features.uneven import UnevenFeatures
from training.progress import Advance, no_progress

Features = NDArray[np.float32]
PatchFeatures = Features | UnevenFeatures
"""Of each image's patches."""
ImageLoader = Callable[[], NDArray[np.uint8]]
"""Reads one image and returns it as the network sees it, uint8 H×W×3: S×S, or a frame of several tiles."""
Watch = Callable[[int, Features], None]
_BATCH: Final = 8
"""Tiles that go through the network at once."""


def compute_features(
    output: Callable[[Tensor], Tensor], loaders: Sequence[ImageLoader], device: str, advance: Advance = no_progress
) -> Features:
    """`output` (pixels uint8 n×S×S×3 to n×…) of every image: float32 N×…, mapped from a nameless file.

    Memory holds a batch of pixels and one image's output; the rest is the page cache's to keep or drop. The file's room
    is claimed first, so that a full disk is a StoreError here and not a crash later.
    """
    features: Features | None = None
    for number, (_, outputs) in enumerate(_outputs(output, loaders, device, None, _BATCH)):
        computed = next(outputs)
        if features is None:
            features = mapped((len(loaders), *computed.shape))
        features[number] = computed
        advance()
    assert features is not None, "there are no images"
    return features


def compute_patch_features(
    output: Callable[[Tensor], Tensor],
    loaders: Sequence[ImageLoader],
    patches: Sequence[int],
    device: str,
    advance: Advance = no_progress,
    *,
    tiling: Tiling,
    tiles: int,
    watch: Watch,
) -> PatchFeatures:
    """The same of frames, which are cut by `tiling` into so many `tiles` at most, whose outputs, n×s×s×C, are blended:
    N×P×C, or uneven where images have different numbers of `patches`. `watch` is shown each tile's output, with the
    number of its image."""
    rows: Features | None = None
    ends = np.cumsum(patches, dtype=np.intp)
    for number, (frame, outputs) in enumerate(_outputs(output, loaders, device, tiling, max(1, _BATCH // tiles))):
        computed = tiling.blend(_watched(outputs, partial(watch, number)), *frame.shape[:2])
        if rows is None:
            rows = mapped((int(ends[-1]), computed.shape[-1]))
        rows[ends[number] - patches[number] : ends[number]] = computed.reshape(patches[number], -1)
        advance()
    assert rows is not None, "there are no images"
    return UnevenFeatures.of(rows, patches) if len(set(patches)) > 1 else rows.reshape(len(loaders), patches[0], -1)


def tile_loader(load: ImageLoader, tiling: Tiling, number: int) -> ImageLoader:
    """One tile of the image that `load` reads."""
    return lambda: tiling.cut(load())[number]


def _outputs(
    output: Callable[[Tensor], Tensor],
    loaders: Sequence[ImageLoader],
    device: str,
    tiling: Tiling | None,
    at_once: int,
) -> Iterator[tuple[NDArray[np.uint8], Iterator[Features]]]:
    """Pixels of each image, and the output of each of its tiles: to be taken before the next image is."""
    for frames in _batches(loaders, at_once):
        cut = [[frame] if tiling is None else tiling.cut(frame) for frame in frames]
        computed = _run(output, [tile for tiles in cut for tile in tiles], device)
        for frame, tiles in zip(frames, cut, strict=True):
            yield frame, islice(computed, len(tiles))


def _run(output: Callable[[Tensor], Tensor], tiles: Sequence[NDArray[np.uint8]], device: str) -> Iterator[Features]:
    for start in range(0, len(tiles), _BATCH):
        pixels = torch.from_numpy(np.stack(tiles[start : start + _BATCH]))
        with torch.inference_mode():
            computed = output(pixels.to(device)).float().cpu().numpy()
        yield from computed


def _watched(tiles: Iterator[Features], watch: Callable[[Features], None]) -> Iterator[Features]:
    for tile in tiles:
        watch(tile)
        yield tile


def _loaded(loaders: Sequence[ImageLoader]) -> list[NDArray[np.uint8]]:
    with ThreadPoolExecutor(available_cpus()) as pool:
        return list(pool.map(lambda load: load(), loaders))


def _batches(loaders: Sequence[ImageLoader], size: int) -> Iterator[list[NDArray[np.uint8]]]:
    """Pixels of each batch of images; the next one is decoded while this one is worked on."""
    with ThreadPoolExecutor(1) as ahead:
        starts = range(0, len(loaders), size)
        futures = (ahead.submit(_loaded, loaders[s : s + size]) for s in starts)
        coming = next(futures)
        for _ in starts:
            current, following = coming, next(futures, None)
            yield current.result()
            if following is not None:
                coming = following


def mapped(shape: tuple[int, ...]) -> Features:
    """An array of this shape in a nameless file of the cache folder."""
    size = int(np.prod(shape)) * np.dtype(np.float32).itemsize
    with claimed(cache_folder(), size, "intermediate results", CACHE) as file:
        return np.memmap(file, np.float32, "r+", shape=shape)
