import errno
import os

import numpy as np
import pytest
import torch

from model.errors import StoreError
from model.network import VGG16CAM
from tests.training.conftest import MakeFolder
from training.dataset import find_samples
from training.features import compute_features, squashed
from training.imagenet import Trunk
from training.learning import fresh_network


@pytest.fixture(scope="module")
def network(trunk: Trunk) -> VGG16CAM:
    return fresh_network(trunk, 0, "cpu")


def test_features_are_the_frozen_blocks_output(make_folder: MakeFolder, network: VGG16CAM) -> None:
    samples = find_samples(make_folder())
    calls: list[str] = []

    def advance(remark: str = "") -> None:
        calls.append(remark)

    features = compute_features(network, samples, blocks=4, input_size=32, full_scale=None, advance=advance)
    pixels = torch.from_numpy(squashed(samples, 32, None))
    with torch.inference_mode():
        expected = network.features(pixels, stop=4).numpy()
    assert isinstance(features, np.memmap)
    assert features.shape == (22, 512, 2, 2)
    assert np.allclose(features, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert len(calls) == 22


def test_a_full_disk_is_an_error_before_anything_is_computed(
    make_folder: MakeFolder, network: VGG16CAM, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StoreError, match=r"0\.00 GB of intermediate results can't be kept .*CAMSPECTOR_CACHE"):
        compute_features(network, find_samples(make_folder()), blocks=4, input_size=32, full_scale=None)
