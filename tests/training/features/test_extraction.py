import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from model.errors import StoreError
from training.features.extraction import ImageLoader, compute_features


def flat(value: int, size: int = 16) -> ImageLoader:
    return lambda: np.full((size, size, 3), value, np.uint8)


def brightness(pixels: torch.Tensor) -> torch.Tensor:
    """n×S×S×3 to n×2."""
    means = pixels.double().mean((1, 2, 3))
    return torch.stack([means, -means], 1)


@pytest.mark.parametrize("count", [1, 8, 9, 24, 30])
def test_features_are_the_output_of_every_image_in_their_order(count: int) -> None:
    calls: list[str] = []

    def advance(remark: str = "") -> None:
        calls.append(remark)

    features = compute_features(brightness, [flat(value) for value in range(count)], "cpu", advance)
    assert features.dtype == np.float32
    assert features.tolist() == [[value, -value] for value in range(count)]
    assert len(calls) == count


def test_they_are_mapped_from_a_file_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMSPECTOR_CACHE", str(tmp_path / "deep/cache"))
    features = compute_features(brightness, [flat(3)] * 3, "cpu")
    assert isinstance(features, np.memmap)
    assert list((tmp_path / "deep/cache").iterdir()) == []
    features[1] = 9
    assert features.tolist() == [[3, -3], [9, 9], [3, -3]]


def test_memory_holds_few_images_at_once() -> None:
    """One batch that is worked on, one that is decoded ahead."""
    taken = 0
    most_ahead = 0

    def load() -> np.ndarray:
        nonlocal taken
        taken += 1
        return np.zeros((8, 8, 3), np.uint8)

    done = 0

    def output(pixels: torch.Tensor) -> torch.Tensor:
        nonlocal done, most_ahead
        most_ahead = max(most_ahead, taken - done)
        done += len(pixels)
        return pixels.float().mean((1, 2))

    compute_features(output, [load] * 50, "cpu")
    assert (taken, done) == (50, 50)
    assert most_ahead <= 24


def test_a_full_disk_is_an_error_after_the_first_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def output(pixels: torch.Tensor) -> torch.Tensor:
        outputs.append(len(pixels))
        return torch.zeros((len(pixels), 25, 1000))

    outputs: list[int] = []
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StoreError, match=r"0\.01 GB of intermediate results can't be kept in .*CAMSPECTOR_CACHE"):
        compute_features(output, [flat(0)] * 100, "cpu")
    assert outputs == [8]


def test_a_cache_that_is_no_folder_is_the_same_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CAMSPECTOR_CACHE", str(tmp_path / "file"))
    with pytest.raises(StoreError, match=r"can't be kept in .*file"):
        compute_features(brightness, [flat(0)], "cpu")
