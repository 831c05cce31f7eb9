from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from model.artifact import ONNX, read_artifact
from model.detector import load_detector
from model.engines.engine import open_engine, replay_golden
from model.engines.onnx_runtime import OnnxEngine
from model.errors import EngineError, GoldenOutputError, MissingFileError
from tests.support.artifacts import pattern, publish


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("store"), onnx=True)


def test_serves_by_default_on_a_cpu(version: Path) -> None:
    detector = load_detector(version, "cpu")
    assert (detector.engine.name, detector.engine.device, detector.variant.name) == ("onnxruntime", "cpu", "float32")
    assert detector.skipped_variants == {}


@pytest.mark.parametrize("exclusive", [True, False])
def test_maps_are_those_of_the_reference(version: Path, exclusive: bool) -> None:
    artifact = read_artifact(version)
    variant = artifact.manifest.variant("float32")
    pixels = np.stack([pattern(seed) for seed in range(3, 8)])
    output = open_engine(artifact, variant, "cpu", "onnxruntime").run(pixels, exclusive=exclusive)
    reference = open_engine(artifact, variant, "cpu", "torch").run(pixels)
    assert output.evidence.dtype == output.features.dtype == np.float32
    assert reference.evidence.std() > 0.5
    assert reference.features.std() > 0.01
    np.testing.assert_allclose(output.evidence, reference.evidence, atol=1e-4)
    np.testing.assert_allclose(output.features, reference.features, atol=1e-5 * np.abs(reference.features).max())


def test_threads_may_run_it_at_once(version: Path) -> None:
    engine = load_detector(version, "cpu").engine
    pixels = [pattern(seed)[np.newaxis] for seed in range(8)]
    with ThreadPoolExecutor(engine.max_concurrency) as pool:
        together = list(pool.map(lambda each: engine.run(each, exclusive=False).evidence, pixels))
    np.testing.assert_array_equal(
        np.concatenate(together), np.concatenate([engine.run(p, exclusive=False).evidence for p in pixels])
    )


def test_sessions_share_one_pool_of_memory(version: Path) -> None:
    """16 models would take 2.7 GB instead of 0.6: each session keeps what its largest batch took."""
    engine = OnnxEngine(version / ONNX)
    for session in (engine._wide, engine._narrow):
        assert session.get_session_options().get_session_config_entry("session.use_env_allocators") == "1"


def test_pixels_of_another_size(version: Path) -> None:
    with pytest.raises(EngineError, match="ONNX Runtime failed"):
        load_detector(version, "cpu").engine.run(np.zeros((1, 32, 32, 3), np.uint8))


def test_a_model_whose_input_has_another_name(version: Path, tmp_path: Path) -> None:
    model = onnx.load(version / ONNX)
    model.graph.input[0].name = "image"
    model.graph.node[0].input[0] = "image"
    onnx.save(model, tmp_path / ONNX)
    with pytest.raises(EngineError, match=r"ONNX Runtime failed: .*image"):
        OnnxEngine(tmp_path / ONNX).run(pattern(1)[np.newaxis])


@pytest.mark.parametrize("axes", [(), (1, 2)])
def test_a_model_that_gives_no_map_for_an_image(version: Path, axes: tuple[int, ...], monkeypatch: Any) -> None:
    run = OnnxEngine.run

    def reduced(engine: OnnxEngine, pixels: Any, *, exclusive: bool = True) -> Any:
        output = run(engine, pixels, exclusive=exclusive)
        maps = output.evidence
        return output._replace(evidence=maps.mean(axis=axes) if axes else maps[..., np.newaxis])

    monkeypatch.setattr(OnnxEngine, "run", reduced)
    artifact = read_artifact(version)
    engine = OnnxEngine(artifact.file(ONNX))
    with pytest.raises(GoldenOutputError, match="gives no map for each image"):
        replay_golden(engine, artifact, artifact.manifest.variant("float32"))


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x0a" * 40])
def test_a_file_that_is_no_model(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ONNX).write_bytes(content)
    with pytest.raises(EngineError, match=r"can't open .*model\.onnx"):
        OnnxEngine(tmp_path / ONNX)


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=ONNX):
        OnnxEngine(tmp_path / ONNX)
