"""Measures, distances and limits: what each says of images whose answer is known."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from safetensors.numpy import load_file, save_file

from model.appearance import Appearance, encode_appearance, read_appearance, unit
from model.errors import CamspectorError, NonFiniteWeightsError, ShapeError, WeightsFormatError
from model.gate import CHECKS, CheckName, Gate, Inspectability, Odd, OpenLimits, odd_checks
from model.image_measures import pixel_measures, sharpness, size_measures
from tests.support.artifacts import OPEN, pattern


def gray(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.repeat(np.clip(np.rint(values), 0, 255).astype(np.uint8)[:, :, np.newaxis], 3, axis=2)


def test_a_black_frame() -> None:
    assert pixel_measures(np.zeros((64, 64, 3), np.uint8)) == {
        "colour": 0.0, "brightness": 0.0, "contrast": 0.0, "clipped": 1.0, "sharpness": 0.0
    }  # fmt: skip


def test_exposure_of_a_known_image() -> None:
    half = np.zeros((64, 64)) + 50
    half[:, 32:] = 150
    measures = pixel_measures(gray(half))
    assert (measures["brightness"], measures["contrast"], measures["clipped"]) == (100.0, 50.0, 0.0)
    assert pixel_measures(gray(half * 2))["clipped"] == 0.5


def test_colour_is_the_range_of_the_channels() -> None:
    image = np.full((64, 64, 3), (90, 120, 100), np.uint8)
    assert pixel_measures(image)["colour"] == 30.0
    assert pixel_measures(gray(np.full((64, 64), 100)))["colour"] == 0.0


def test_size_and_aspect() -> None:
    assert size_measures(400, 100) == {"size": 200.0, "aspect": 4.0}


@pytest.mark.parametrize("frequency", [0.05, 0.1])
def test_sharpness_is_the_squared_frequency_of_a_wave(frequency: float) -> None:
    """(2 − 2·cos)² / sin² of a wave along one axis; float, so that rounding doesn't show."""
    angle = 2 * np.pi * frequency
    wave = np.sin(angle * np.arange(200))[np.newaxis, :] * np.ones((200, 1))
    expected = (2 - 2 * np.cos(angle)) ** 2 / np.sin(angle) ** 2
    assert sharpness((100 * wave + 128).astype(np.float32)) == pytest.approx(expected, rel=0.02)


def test_sharpness_falls_with_blur_and_not_with_contrast() -> None:
    image = Image.fromarray(pattern(1, 224))
    ladder = [
        pixel_measures(np.asarray(image.filter(ImageFilter.GaussianBlur(radius))))["sharpness"]
        for radius in (0, 0.5, 1, 1.5)
    ]
    assert ladder == sorted(ladder, reverse=True)
    assert ladder[-1] < ladder[0] / 5
    faint = np.asarray(image).astype(np.float64) / 2 + 60
    assert pixel_measures(np.rint(faint).astype(np.uint8))["sharpness"] == pytest.approx(ladder[0], rel=0.02)


def test_a_large_input_is_measured_on_some_of_its_rows() -> None:
    small = np.random.default_rng(3).integers(60, 200, (112, 448, 3), np.uint8)
    large = np.repeat(small, 4, axis=0)
    assert pixel_measures(large)["brightness"] == pytest.approx(pixel_measures(small)["brightness"], abs=1e-9)


@pytest.fixture
def appearance() -> Appearance:
    components = np.zeros((1, 6), np.float32)
    components[0, 1] = 1
    mean = np.array([1, 0, 0, 0, 0, 0], np.float32)
    return Appearance(mean, components, np.array([0.04], np.float32), 0.01, np.array([0.5, 1, 1, 2], np.float32))


def test_distance_is_mahalanobis(appearance: Appearance) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(1, 0.3, (5, 6)).astype(np.float32)
    covariance = np.diag([0.01, 0.04, 0.01, 0.01, 0.01, 0.01])
    centred = unit(features) - appearance.mean
    expected = np.sqrt(np.einsum("ni,ij,nj->n", centred, np.linalg.inv(covariance), centred) / 6)
    assert appearance.distance(features) == pytest.approx(expected, rel=1e-5)
    assert appearance.distance(3 * features) == pytest.approx(expected, rel=1e-5)  # brightness scales all features
    assert float(appearance.distance(features[2])) == pytest.approx(expected[2], rel=1e-5)
    assert np.isfinite(appearance.distance(np.zeros(6, np.float32)))


@pytest.mark.parametrize(("distance", "typicality"), [(0, 1.0), (0.75, 0.8), (1, 0.8), (1.5, 0.4), (2, 0.4), (9, 0.2)])
def test_typicality_is_the_rank_among_the_held_out(appearance: Appearance, distance: float, typicality: float) -> None:
    assert appearance.typicality(distance) == pytest.approx(typicality)


def test_a_file_comes_back(appearance: Appearance, tmp_path: Path) -> None:
    (tmp_path / "gate.safetensors").write_bytes(encode_appearance(appearance))
    read = read_appearance(tmp_path / "gate.safetensors", 6)
    for name in ("mean", "components", "variances", "distances"):
        assert np.array_equal(getattr(read, name), getattr(appearance, name))
    assert read.residual == pytest.approx(appearance.residual)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda t: t.pop("mean"), ShapeError, "holds components, distances, residual, variances, not mean"),
        (lambda t: t.update(mean=t["mean"][:3]), ShapeError, r"mean is float32 \(3,\), not float32 \(6,\)"),
        (lambda t: t.update(mean=t["mean"].astype(np.float64)), ShapeError, "mean is float64"),
        (lambda t: t.update(mean=t["mean"] * np.nan), NonFiniteWeightsError, "mean holds NaN"),
        (lambda t: t.update(variances=-t["variances"]), ShapeError, "variances must be above 0"),
        (lambda t: t.update(residual=0 * t["residual"]), ShapeError, "variances must be above 0"),
        (lambda t: t.update(distances=t["distances"][::-1].copy()), ShapeError, "distances ascend"),
        (lambda t: t.update(distances=t["distances"][:0]), ShapeError, "0 distances"),
        (lambda t: t.update(variances=np.ones(65, np.float32)), ShapeError, "65 components"),
    ],
)
def test_broken_files(
    appearance: Appearance,
    tmp_path: Path,
    change: Callable[[dict[str, Any]], object],
    error: type[CamspectorError],
    message: str,
) -> None:
    path = tmp_path / "gate.safetensors"
    path.write_bytes(encode_appearance(appearance))
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    with pytest.raises(error, match=message):
        read_appearance(path, 6)


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{}      "[:12]])
def test_no_safetensors(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "gate.safetensors").write_bytes(content)
    with pytest.raises(WeightsFormatError, match="not a whole safetensors file"):
        read_appearance(tmp_path / "gate.safetensors", 6)


def test_values_outside_are_odd_in_the_order_of_the_checks() -> None:
    limits: dict[CheckName, OpenLimits] = {"sharpness": (0.2, 0.6), "brightness": (60.0, None), "clipped": (None, 0.1)}
    assert odd_checks({"sharpness": 0.1, "brightness": 59, "clipped": 0.2}, limits) == (
        Odd("brightness", 59, (60.0, None)),
        Odd("clipped", 0.2, (None, 0.1)),
        Odd("sharpness", 0.1, (0.2, 0.6)),
    )
    assert odd_checks({"sharpness": 0.2, "brightness": 60, "clipped": 0.1}, limits) == ()
    assert odd_checks({"size": 3.0}, limits) == ()
    assert [odd.check for odd in odd_checks({"clipped": float("nan")}, limits)] == ["clipped"]


def test_odd_is_never_accept_and_never_reject() -> None:
    odd = Inspectability((Odd("size", 1, (2, 3)),))
    assert [odd.decision(each) for each in ("accept", "review", "reject")] == ["review"] * 3
    assert [Inspectability().decision(each) for each in ("accept", "review", "reject")] == [
        "accept",
        "review",
        "reject",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda gate: gate["limits"].pop("size"), "limits lack size"),
        (lambda gate: gate["limits"].update(size=[2, 1]), "limits of size must not descend"),
        (lambda gate: gate["limits"].update(weight=[1, 2]), "Invalid enum value 'weight'"),
        (lambda gate: gate.update(odd_rate=0), r"> 0.0 - at `\$.odd_rate`"),
        (lambda gate: gate.update(images=0), r">= 1 - at `\$.images`"),
    ],
)
def test_a_manifests_gate_is_checked(change: Callable[[dict[str, Any]], object], message: str) -> None:
    sound = Gate(0.005, 0.02, 99, None, None, "", dict(OPEN))
    written = json.loads(msgspec.json.encode(sound))
    assert msgspec.convert(written, Gate) == sound
    change(written)
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(written, Gate)


def test_there_is_a_limit_for_every_check() -> None:
    with pytest.raises(ValueError, match="limits lack appearance"):
        Gate(0.005, 0.02, 99, None, None, "", {name: OPEN[name] for name in CHECKS if name != "appearance"})
    assert replace(Gate(0.005, 0.02, 99, None, None, "", dict(OPEN)), images=5).images == 5
