"""Frames: what their tiles see is put together again, and one tile is itself."""

from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from model.detector import load_detector
from model.engines.output import NetworkOutput
from model.errors import ManifestError
from model.hypercolumn import MEAN_WEIGHT, Hypercolumn
from model.manifest import decode
from model.network import VGG16CAM
from model.preprocessing import Resizing
from model.tiles import GRANULE, Frame, Tiling
from tests.support.artifacts import pattern, publish, random_weights
from tests.support.images import encoded

TILING = Tiling(64, 16)
APART = Hypercolumn((1, 2), 8, image_head=True, head_apart=True)


def frame(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("tiling", [TILING, Tiling(64), Tiling(448, 48), Tiling(32, 16)], ids=str)
def test_tiles_cover_a_side_and_overlap_enough(tiling: Tiling) -> None:
    for length in range(tiling.tile, 40 * GRANULE + tiling.tile, GRANULE):
        starts = tiling.starts(length)
        assert (starts[0], starts[-1]) == (0, length - tiling.tile)
        assert all(start % GRANULE == 0 for start in starts)
        steps = [after - before for before, after in pairwise(starts)]
        assert all(0 < step <= tiling.tile - tiling.overlap for step in steps)
        fewer = len(starts) - 1
        assert fewer == 0 or tiling.tile + (fewer - 1) * (tiling.tile - tiling.overlap) < length


def test_a_tile_is_a_view_of_its_frame() -> None:
    pixels = frame(160, 208)
    tiles = TILING.cut(pixels)
    assert len(tiles) == TILING.count(160, 208) == 12
    assert all(tile.shape == (64, 64, 3) and np.shares_memory(tile, pixels) for tile in tiles)
    for tile, (top, left) in zip(tiles, TILING.corners(160, 208), strict=True):
        assert np.array_equal(tile, pixels[top : top + 64, left : left + 64])


@pytest.mark.parametrize("trailing", [(), (5,)])
def test_maps_that_agree_are_blended_into_the_same_map(trailing: tuple[int, ...]) -> None:
    whole = np.random.default_rng(1).standard_normal((20, 26, *trailing)).astype(np.float32)
    tiles = [whole[top // 8 :, left // 8 :][:8, :8] for top, left in TILING.corners(160, 208)]
    assert TILING.blend(tiles, 160, 208) == pytest.approx(whole, abs=1e-6)


def test_the_nearer_a_patch_is_to_a_tiles_edge_the_less_it_counts() -> None:
    ones, zeros = np.ones((8, 8), np.float32), np.zeros((8, 8), np.float32)
    blended = TILING.blend([ones, zeros], 64, 112)  # they overlap by two patches
    assert blended[0] == pytest.approx([1.0] * 6 + [0.9, 0.1] + [0.0] * 6)
    assert (blended == blended[0]).all()


def test_one_tile_is_itself_to_the_bit() -> None:
    rng = np.random.default_rng(2)
    output = NetworkOutput(rng.standard_normal((1, 8, 8), np.float32), rng.standard_normal((1, 32), np.float32))
    whole = TILING.merge(output, 64, 64, 4)
    assert whole.evidence.tobytes() == output.evidence.tobytes()
    assert whole.features.tobytes() == output.features.tobytes()
    pixels = frame(64, 64)
    assert np.array_equal(TILING.cut(pixels)[0], pixels)


def test_blended_evidence_is_linear_in_blended_features() -> None:
    """So a regression on blended features is the network whose maps are blended, image head included."""
    network = VGG16CAM(APART).eval()
    network.set_weights(random_weights(1, APART))
    pixels = frame(112, 160)
    tiles = torch.from_numpy(np.stack(TILING.cut(pixels)))
    with torch.inference_mode():
        output = NetworkOutput(*(each.numpy() for each in network.outputs(tiles)))
        columns = network.columns(network.layers(network.normalised(tiles))).permute(0, 2, 3, 1).numpy()
    found = TILING.merge(output, 112, 160, 4).evidence
    weights = network.weights()
    row, bias, head_bias = (
        weights[f"dense.{name}"][1] - weights[f"dense.{name}"][0] for name in ("weight", "bias", "head_bias")
    )
    blended = TILING.blend(columns, 112, 160)
    expected = blended @ row[: APART.channels] + bias + (blended @ row[APART.channels :]).mean() + head_bias
    assert found.shape == (14, 20)
    assert found == pytest.approx(expected, abs=1e-4)


def test_a_frames_gate_features_are_its_tiles_by_their_position() -> None:
    cells = np.random.default_rng(3).random((2, 3, 3, 4, 4), np.float32)  # 2×3 tiles, 3 channels, 4×4 cells
    features = (cells + MEAN_WEIGHT * cells.mean((3, 4), keepdims=True)).reshape(6, 48)
    pooled = Tiling(64).pool_cells(features, 128, 192, 4).reshape(3, 4, 4)
    whole = cells.transpose(2, 0, 3, 1, 4).reshape(3, 4, 2, 4, 3).mean((2, 4))
    assert pooled == pytest.approx(whole + MEAN_WEIGHT * whole.mean((1, 2), keepdims=True), rel=1e-5)


def test_a_heatmap_is_as_large_as_its_frame_up_to_a_megapixel() -> None:
    assert Resizing(1024, None, True).heatmap_size == 1024
    assert Resizing(448, None, True, Frame(1024, 768, 48)).heatmap_size == 1024
    assert Resizing(448, None, True, Frame(4000, 3008, 48)).heatmap_size == 1000


def test_what_a_frame_must_be_is_checked_when_its_version_is_read(tmp_path: Path) -> None:
    content = (publish(tmp_path, frame=Frame(112, 64, 16)) / "manifest.json").read_bytes()
    read = decode(content)
    assert read.preprocessing.resizing.tiling == TILING
    for change, message in (
        ({"height": 48}, "smaller than its tiles"),
        ({"overlap": 64}, "can't overlap by 64"),
        ({"width": 100}, "multiple of 16"),
        ({"width": 1 << 20}, "<= 16384"),
    ):
        manifest = msgspec.json.decode(content)
        manifest["preprocessing"]["frame"] |= change
        with pytest.raises(ManifestError, match=message):
            decode(msgspec.json.encode(manifest))


def test_an_image_is_scaled_to_the_frame(tmp_path: Path) -> None:
    detector = load_detector(publish(tmp_path, frame=Frame(112, 64, 16)), "cpu")
    image = detector.read_image(encoded(size=200))
    assert image.pixels.shape == (64, 112, 3)
    output = detector.run(image.pixels)
    assert output.evidence.shape == (4, 7)
    assert detector.heatmap(output).shape == (64, 112)
    black = np.zeros((64, 64, 3), np.uint8)
    assert detector.run(black).evidence.tobytes() == detector.engine.run(black[None]).evidence.tobytes()
    assert pattern(1).shape == black.shape
