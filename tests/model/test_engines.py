from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from model.artifact import read_artifact
from model.detector import load_detector
from model.engines import devices
from model.engines.devices import choose_device
from model.engines.engine import Engine, open_engine, replay_golden
from model.engines.output import FrameOutput, NetworkOutput
from model.errors import DeviceMemoryError, DeviceUnavailableError, EngineError
from model.image import decode
from model.network import VGG16CAM
from model.regions import find_regions
from model.render import heatmap_png, overlay_png
from model.verdict import sigmoid
from tests.support.artifacts import INPUT_SIZE, NETWORK, pattern, publish, random_weights


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("store"))


def test_the_engine_is_the_network(version: Path) -> None:
    artifact = read_artifact(version)
    engine = open_engine(artifact, artifact.manifest.variant("float32"), "cpu")
    pixels = np.stack([pattern(i) for i in range(3)])
    network = VGG16CAM(NETWORK).eval()
    network.set_weights(random_weights(1))
    with torch.inference_mode():
        expected = network(torch.from_numpy(pixels)).numpy()
    found = engine.run(pixels).evidence
    assert (found.shape, found.dtype) == ((3, INPUT_SIZE // 16, INPUT_SIZE // 16), np.float32)
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("raised", "named"),
    [(torch.OutOfMemoryError("CUDA out of memory"), DeviceMemoryError), (RuntimeError("device lost"), EngineError)],
)
def test_what_torch_raises_has_a_name(
    version: Path, monkeypatch: pytest.MonkeyPatch, raised: Exception, named: type[Exception]
) -> None:
    artifact = read_artifact(version)
    engine = open_engine(artifact, artifact.manifest.variant("float32"), "cpu")

    def failing(*_: object) -> None:
        raise raised

    monkeypatch.setattr(VGG16CAM, "outputs", failing)
    with pytest.raises(named, match="cpu"):
        engine.run(pattern(0)[np.newaxis])
    monkeypatch.setattr(VGG16CAM, "to", lambda *_, **__: failing())
    with pytest.raises(named, match="cpu"):
        open_engine(artifact, artifact.manifest.variant("float32"), "cpu")


def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == "cpu"
    with pytest.raises(DeviceUnavailableError, match="no CUDA device; use cpu or auto"):
        choose_device("cuda")


def test_pytorch_is_left_alone_where_the_driver_counts_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_torch_has_devices", lambda: pytest.fail("asked PyTorch"))
    monkeypatch.setattr(devices, "_driver_has_devices", lambda: False)
    assert choose_device("auto") == "cpu"


def test_a_device_that_the_driver_and_pytorch_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_driver_has_devices", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == choose_device("cuda") == "cuda"
    assert choose_device("cpu") == "cpu"


def test_cuda_without_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_driver_has_devices", lambda: True)
    monkeypatch.setattr(devices, "find_spec", lambda _: None)
    assert choose_device("auto") == "cpu"
    with pytest.raises(DeviceUnavailableError):
        choose_device("cuda")


def test_a_defect_rate_shifts_the_log_odds(version: Path) -> None:
    """The artifact's data has a third of defects: at one half the odds double."""
    evidence = np.zeros((4, 4), np.float32)
    assert load_detector(version, "cpu").verdict(evidence).probability == pytest.approx(0.5)
    shifted = load_detector(version, "cpu", defect_rate=0.5).verdict(evidence)
    assert shifted.probability == pytest.approx(2 / 3)
    assert shifted.probability == pytest.approx(sigmoid(shifted.log_odds))
    assert (shifted.label, shifted.decision) == ("anomaly", "reject")


def frame_output(evidence: np.ndarray, head: float = 0.0) -> FrameOutput:
    return FrameOutput(evidence, np.zeros(0, np.float32), head)


def test_heatmap_and_regions_agree(version: Path) -> None:
    detector = load_detector(version, "cpu")
    evidence = np.full((4, 4), -2.0, np.float32)
    evidence[0, 3] = 8.0
    values = detector.heatmap(frame_output(evidence))
    (region,) = find_regions(values, 640, 320)
    assert values.shape == (INPUT_SIZE, INPUT_SIZE)
    assert region.box.left + region.box.width == 640
    assert region.box.top == 0
    assert region.box.left > 320
    assert region.score == pytest.approx(float(values.max()))
    assert find_regions(detector.heatmap(frame_output(np.full((4, 4), -2.0, np.float32))), 640, 320) == []


def test_a_heatmap_shows_a_share_of_the_image_head(version: Path) -> None:
    detector = load_detector(version, "cpu")
    evidence = np.random.default_rng(0).normal(0, 2, (4, 4)).astype(np.float32)
    without = detector.heatmap(frame_output(evidence))
    for share, shown in ((1.0, evidence), (0.25, evidence - 3 * 0.75)):
        sharing = replace(detector, manifest=replace(detector.manifest, head_share=share))
        assert sharing.heatmap(frame_output(evidence, 3.0)) == pytest.approx(
            detector.heatmap(frame_output(shown)), abs=1e-6
        )
        assert sharing.verdict(evidence) == detector.verdict(evidence)
    assert np.ptp(without) > 0.4


def test_heatmap_png_has_256_steps() -> None:
    values = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    assert np.array_equal(np.asarray(decode(heatmap_png(values))), np.rint(255 * values).astype(np.uint8))


def test_overlay_has_the_images_size_and_leaves_dark_patches_alone() -> None:
    image = Image.fromarray(pattern(0, 200))
    values = np.full((64, 64), 0.001, np.float32)
    values[:, 48:] = 1.0
    overlay = np.asarray(decode(overlay_png(image, values, [])), dtype=int)
    assert overlay.shape == (200, 200, 3)
    assert np.array_equal(overlay[:, :140], np.asarray(image)[:, :140])
    assert np.abs(overlay[:, 160:] - np.asarray(image)[:, 160:]).mean() > 30


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_reference_answers(version: Path) -> None:
    reference, cuda = load_detector(version, "cpu"), load_detector(version, "cuda")
    pixels = np.stack([pattern(i) for i in range(8)])
    for one, other in zip(reference.engine.run(pixels).evidence, cuda.engine.run(pixels).evidence, strict=True):
        assert cuda.verdict(other).probability == pytest.approx(reference.verdict(one).probability, abs=0.01)


def test_golden_images_go_through_one_by_one_with_the_device_alone_and_not(version: Path) -> None:
    """Both of ONNX Runtime's sessions are tested, and have what they take at their first image."""
    artifact = read_artifact(version)
    variant = artifact.manifest.variant("float32")
    engine = open_engine(artifact, variant, "cpu")
    calls: list[tuple[int, bool]] = []

    class Recorded:
        """Says how it is called."""

        def __getattr__(self, name: str) -> object:
            return getattr(engine, name)

        def run(self, pixels: NDArray[np.uint8], *, exclusive: bool = True) -> NetworkOutput:
            calls.append((len(pixels), exclusive))
            return engine.run(pixels, exclusive=exclusive)

    replay_golden(cast(Engine, Recorded()), artifact, variant)
    assert calls == [(1, True), (1, False), (1, True)]
    calls.clear()
    replay_golden(cast(Engine, Recorded()), artifact, variant, most=2)
    assert calls == [(1, True), (1, False)]
