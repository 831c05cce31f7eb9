"""Images as the network sees them: decoded once, and equal however often they are."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.errors import DataError
from model.preprocessing import InputImage, Resizing
from tests.training.conftest import MakeFolder, prepare_patches, save, tiny_patches
from training.data.dataset import Dataset
from training.data.samples import Sample, find_samples
from training.features import input_images
from training.features.imagenet import Trunk
from training.features.input_images import InputImages
from training.features.measuring import measure_images

RESIZING = Resizing(32, None, reduced=True)


class Counting:
    """A resizing that counts."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, data: bytes) -> InputImage:
        self.calls += 1
        return RESIZING(data)


@pytest.fixture
def samples(make_folder: MakeFolder) -> list[Sample]:
    """Four."""
    return find_samples(make_folder(good=2, bad=1))


def test_an_image_is_the_sample_as_the_service_sees_it(samples: list[Sample]) -> None:
    expected = RESIZING(samples[1].path.read_bytes())
    images = InputImages(samples, RESIZING)
    assert np.array_equal(images.loaders[1](), expected.pixels)
    assert (images[1].width, images[1].height) == (48, 48)


def test_each_is_decoded_once_while_there_is_room(samples: list[Sample]) -> None:
    counting = Counting()
    images = InputImages(samples, counting)
    first = [load() for load in images.loaders]
    measures = measure_images(images)
    assert [load() is pixels for load, pixels in zip(images.loaders, first, strict=True)] == [True] * 4
    assert counting.calls == 4
    assert measures.shape[0] == 4
    with pytest.raises(ValueError, match="read-only"):
        first[0][0] = 0


@pytest.mark.parametrize(("room", "calls"), [(0, 8), (32 * 32 * 3 * 2, 6), (32 * 32 * 3 * 4, 4)])
def test_what_there_is_no_room_for_is_decoded_again(samples: list[Sample], room: int, calls: int) -> None:
    counting = Counting()
    images = InputImages(samples, counting, room)
    first, again = ([load() for load in images.loaders] for _ in range(2))
    assert counting.calls == calls
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))


def test_features_and_measures_are_the_same_to_the_bit(
    dataset: Dataset, trunk: Trunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_patches(flips=2)
    kept = prepare_patches(dataset, trunk, recipe, anomalies="both")
    monkeypatch.setattr(input_images.InputImages.__init__, "__defaults__", (0,))
    decoded_again = prepare_patches(dataset, trunk, recipe, anomalies="both")
    assert len(kept.features) == 3 * (22 + 12)
    for name in ("features", "grid_features", "means", "coverage", "measures"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(decoded_again, name))


def test_16_bit_images_take_the_full_scale(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(np.full((20, 20), 2048, np.uint16)))
    sample = Sample(path, "a.png", "good")
    assert InputImages([sample], Resizing(16, 4095, reduced=False))[0].pixels.mean() == pytest.approx(127.5, abs=1)
    with pytest.raises(DataError, match=r"a\.png: .*2048"):
        InputImages([sample], Resizing(16, 1023, reduced=False))[0]
