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
from training.progress import Advance, no_progress

Features = NDArray[np.float32]
ImageLoader = Callable[[], NDArray[np.uint8]]
"""Reads one image and returns it as the network sees it, uint8 H×W×3: S×S, or a frame of several tiles."""
Watch = Callable[[int, Features], None]
_BATCH: Final = 8
"""Tiles that go through the network at once."""


def compute_features(
    output: Callable[[Tensor], Tensor],
    loaders: Sequence[ImageLoader],
    device: str,
    advance: Advance = no_progress,
    *,
    tiling: Tiling | None = None,
    tiles: int = 1,
    watch: Watch = lambda image, tile: None,
) -> Features:
    """`output` (pixels uint8 n×S×S×3 to n×…) of every image: float32 N×…, mapped from a nameless file.

    `tiling`: how images are cut, into so many `tiles` at most, whose outputs, n×s×s×…, are blended; None: each is a
    tile. `watch` is shown each tile's output, with the number of its image.
    Memory holds a batch of pixels and one image's output; the rest is the page cache's to keep or drop. The file's room
    is claimed first, so that a full disk is a StoreError here and not a crash later.
    """
    features: Features | None = None
    for number, (frame, outputs) in enumerate(_outputs(output, loaders, device, tiling, max(1, _BATCH // tiles))):
        watched = _watched(outputs, partial(watch, number))
        computed = next(watched) if tiling is None else tiling.blend(watched, *frame.shape[:2])
        if features is None:
            features = mapped((len(loaders), *computed.shape))
        features[number] = computed
        advance()
    assert features is not None, "there are no images"
    return features


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
