"""Features of every image, computed once and kept on disk: what all folds train on."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.cpus import available_cpus
from model.preprocessing import Resizing
from training.data.file_errors import naming_file
from training.data.samples import Sample
from training.features.cache import CACHE, cache_folder, claimed
from training.progress import Advance, no_progress

Features = NDArray[np.float32]
ImageLoader = Callable[[], NDArray[np.uint8]]
"""Reads one image and returns it as the network sees it, uint8 S×S×3."""
_BATCH: Final = 8


def compute_features(
    output: Callable[[Tensor], Tensor], loaders: Sequence[ImageLoader], device: str, advance: Advance = no_progress
) -> Features:
    """`output` (pixels uint8 n×S×S×3 to n×…) of every image: float32 N×…, mapped from a nameless file.

    Memory holds one batch of pixels; the rest is the page cache's to keep or drop. The file's room is claimed first,
    so that a full disk is a StoreError here and not a crash later.
    """
    features: Features | None = None
    with torch.inference_mode():
        for start, pixels in _batches(loaders):
            computed = output(torch.from_numpy(pixels).to(device)).float().cpu().numpy()
            if features is None:
                features = _mapped((len(loaders), *computed.shape[1:]))
            features[start : start + len(computed)] = computed
            for _ in computed:
                advance()
    assert features is not None, "there are no images"
    return features


def image_loader(sample: Sample, resizing: Resizing) -> ImageLoader:
    """The sample as the network sees it; reading raises DataError where it isn't what it was at the start."""

    def load() -> NDArray[np.uint8]:
        with naming_file(sample.path):
            return resizing(sample.path.read_bytes()).pixels

    return load


def _loaded(loaders: Sequence[ImageLoader]) -> NDArray[np.uint8]:
    with ThreadPoolExecutor(available_cpus()) as pool:
        return np.stack(list(pool.map(lambda load: load(), loaders)))


def _batches(loaders: Sequence[ImageLoader]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """First index and pixels of each batch; the next one is decoded while this one is worked on."""
    with ThreadPoolExecutor(1) as ahead:
        starts = range(0, len(loaders), _BATCH)
        futures = (ahead.submit(_loaded, loaders[s : s + _BATCH]) for s in starts)
        coming = next(futures)
        for start in starts:
            current, following = coming, next(futures, None)
            yield start, current.result()
            if following is not None:
                coming = following


def _mapped(shape: tuple[int, ...]) -> Features:
    """An array of this shape in a nameless file of the cache folder."""
    size = int(np.prod(shape)) * np.dtype(np.float32).itemsize
    with claimed(cache_folder(), size, "intermediate results", CACHE) as file:
        return np.memmap(file, np.float32, "r+", shape=shape)
