"""The frozen blocks' output, computed once per image and kept on disk: what every epoch and fold trains on."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from model.cpus import available_cpus
from model.errors import StoreError
from model.image import decode
from model.network import VGG16CAM
from model.preprocessing import squash
from model.weights import BLOCKS
from training.cache import cache_folder
from training.dataset import Sample
from training.progress import Advance, no_progress

Features = NDArray[np.float32]
_BATCH: Final = 8


def compute_features(
    network: VGG16CAM,
    samples: Sequence[Sample],
    *,
    blocks: int,
    input_size: int,
    full_scale: int | None,
    advance: Advance = no_progress,
) -> Features:
    """Output of the network's first `blocks` blocks for every sample: float32 N×C×h×w, mapped from a nameless file.

    Memory holds one batch of pixels; the rest is the page cache's to keep or drop. The file's room is claimed first,
    so that a full disk is a StoreError here and not a crash later.
    """
    device = next(network.parameters()).device
    side = input_size // 2**blocks  # a block ends with a pool that halves it
    features = _mapped((len(samples), BLOCKS[blocks - 1][-1], side, side))
    with torch.inference_mode():
        for start, pixels in _batches(samples, input_size, full_scale):
            output = network.features(torch.from_numpy(pixels).to(device), stop=blocks).cpu()  # n×C×h×w
            features[start : start + len(pixels)] = output.numpy()
            for _ in pixels:
                advance()
    return features


def squashed(samples: Sequence[Sample], input_size: int, full_scale: int | None) -> NDArray[np.uint8]:
    """The samples as the network sees them, uint8 N×S×S×3."""
    with ThreadPoolExecutor(available_cpus()) as pool:
        return np.stack(list(pool.map(lambda sample: _pixels(sample, input_size, full_scale), samples)))


def _batches(
    samples: Sequence[Sample], input_size: int, full_scale: int | None
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """First index and pixels of each batch; the next one is decoded while this one is worked on."""
    with ThreadPoolExecutor(1) as ahead:
        starts = range(0, len(samples), _BATCH)
        futures = (ahead.submit(squashed, samples[s : s + _BATCH], input_size, full_scale) for s in starts)
        coming = next(futures)
        for start in starts:
            current, following = coming, next(futures, None)
            yield start, current.result()
            if following is not None:
                coming = following


def _pixels(sample: Sample, input_size: int, full_scale: int | None) -> NDArray[np.uint8]:
    return squash(decode(sample.path.read_bytes()), input_size, full_scale)


def _mapped(shape: tuple[int, ...]) -> Features:
    folder = cache_folder()
    size = int(np.prod(shape)) * np.dtype(np.float32).itemsize
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):  # not on macOS
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            return np.memmap(file, np.float32, "r+", shape=shape)
    except OSError as error:
        raise StoreError(
            f"{size / 1e9:.2f} GB of intermediate results can't be kept in {folder} ({error}); "
            f"make room, or point CAMSPECTOR_CACHE to another disk"
        ) from error
