"""Frames of several tiles: the same reply, record and protocol as for one, and tiles that share the batches."""

import base64
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from app.application import create_app
from app.inference.latency_estimator import Cost, Kind
from app.models.model_snapshot import LoadedModel, ModelSnapshot, ModelState
from app.service import Service
from app.settings import Settings
from model.detector import Detector, load_detector
from model.gate import CheckName, Limits
from model.hypercolumn import Hypercolumn
from model.manifest import Preprocessing
from model.regions import find_regions
from model.tiles import Frame
from tests.app.conftest import Bench, running, until
from tests.app.records.conftest import Recorder
from tests.support.artifacts import pattern, publish

pytestmark = pytest.mark.anyio
FRAME = Frame(160, 112, 16)
"""Of two rows of three tiles of 64×64."""
TILES = 6


def wide(seed: int = 3) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pattern(seed, 320)[:224]).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = Hypercolumn((1, 2), 8, image_head=True, head_apart=True)
    return publish(tmp_path_factory.mktemp("frames"), "belt", hypercolumn=network, frame=FRAME, slope=1.0)


@dataclass
class Frames:
    recorder: Recorder
    detector: Detector

    @property
    def client(self) -> httpx.AsyncClient:
        return self.recorder.client


@pytest.fixture
async def frames(anyio_backend: str, version: Path, tmp_path: Path) -> AsyncIterator[Frames]:
    records = str(tmp_path / "records")
    store = version.parent.parent
    app = create_app(Settings(store=store, device="cpu", deadline_ms=60_000, records=records, records_images="all"))
    async with running(app) as client:
        await until(lambda: app.state.service.model_manager.snapshot.models.get("belt", ModelState()).loaded)
        await until(lambda: not app.state.service.records._writer.error)
        yield Frames(Recorder(client, app, tmp_path), load_detector(version, "cpu"))


async def test_a_reply_is_the_verdict_on_the_blended_map(frames: Frames) -> None:
    reply = (await frames.client.post("/v1/models/belt/predict", content=wide())).json()
    image = frames.detector.read_image(wide())
    output = frames.detector.run(image.pixels)
    evidence = output.evidence
    assert evidence.shape == (14, 20)
    assert reply["log_odds"] == pytest.approx(frames.detector.verdict(evidence).log_odds, abs=1e-4)
    assert reply["image"] == {"width": 320, "height": 224}
    heatmap = np.asarray(Image.open(io.BytesIO(base64.b64decode(reply["heatmap"]))), np.int16)
    assert heatmap.shape == (112, 160)
    assert np.abs(heatmap - np.rint(255 * frames.detector.heatmap(output))).max() <= 1
    expected = find_regions(frames.detector.heatmap(output), 320, 224)
    assert len(reply["regions"]) == len(expected)
    overlay = await frames.client.post("/v1/models/belt/predict?heatmap=overlay", content=wide())
    assert Image.open(io.BytesIO(base64.b64decode(overlay.json()["heatmap"]))).size == (320, 224)


async def test_v2_decides_the_same_of_images_and_of_frames(frames: Frames) -> None:
    native = (await frames.client.post("/v1/models/belt/predict", content=wide())).json()
    metadata = (await frames.client.get("/v2/models/belt")).json()
    assert metadata["inputs"][1]["shape"] == [-1, 112, 160, 3]
    pixels = frames.detector.read_image(wide()).pixels
    encoded = base64.b64encode(wide()).decode()
    for tensor in (
        {"name": "image", "datatype": "BYTES", "shape": [1], "data": [encoded]},
        {"name": "pixels", "datatype": "UINT8", "shape": [1, 112, 160, 3], "data": pixels.ravel().tolist()},
    ):
        outputs = [{"name": name} for name in ("probability", "decision", "anomaly_map")]
        reply = await frames.client.post("/v2/models/belt/infer", json={"inputs": [tensor], "outputs": outputs})
        assert reply.status_code == 200, reply.text
        found = {output["name"]: output for output in reply.json()["outputs"]}
        assert found["probability"]["data"] == pytest.approx([native["probability"]], abs=1e-6)
        assert found["decision"]["data"] == [native["decision"]]
        assert found["anomaly_map"]["shape"] == [1, 14, 20]
        assert np.mean(found["anomaly_map"]["data"]) == pytest.approx(native["log_odds"], abs=1e-4)


async def test_a_record_draws_the_same_heatmap(frames: Frames) -> None:
    reply = (await frames.client.post("/v1/models/belt/predict", content=wide())).json()
    path = f"/v1/inspections/{reply['inference_id']}"
    heatmap = await frames.client.get(f"{path}/heatmap")
    assert heatmap.content == base64.b64decode(reply["heatmap"])
    assert (await frames.client.get(path)).json()["regions"] == reply["regions"]


async def test_the_version_says_what_its_frame_is(frames: Frames) -> None:
    (found,) = (await frames.client.get("/v1/models/belt")).json()["versions"]
    frame = {"width": 160, "height": 112, "overlap": 16, "scale": None, "sizes_checked": False}
    assert (found["input_size"], found["frame"]) == (64, frame)


OTHER_SIZES = [(320, 224), (640, 224), (160, 400), (300, 80)]


def of_size(width: int, height: int, seed: int = 3) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pattern(seed, max(width, height))[:height, :width]).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
async def rolls(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Frames]:
    """Images of other sizes are scaled by the same factor; the gate's limits of size are those of one."""
    network = Hypercolumn((1, 2), 8, image_head=True, head_apart=True)
    limits: dict[CheckName, Limits] = {"size": (255.0, 281.0), "aspect": (1.36, 1.5)}
    frame = replace(FRAME, scale=0.5)
    version = publish(tmp_path / "store", "belt", hypercolumn=network, frame=frame, slope=1.0, limits=limits)
    records = str(tmp_path / "records")
    settings = Settings(
        store=tmp_path / "store", device="cpu", deadline_ms=60_000, records=records, records_images="all"
    )
    app = create_app(settings)
    async with running(app) as client:
        await until(lambda: app.state.service.model_manager.snapshot.models.get("belt", ModelState()).loaded)
        await until(lambda: not app.state.service.records._writer.error)
        yield Frames(Recorder(client, app, tmp_path), load_detector(version, "cpu"))


@pytest.mark.parametrize(("width", "height"), OTHER_SIZES)
async def test_an_image_of_another_size_is_inspected_at_the_same_scale(rolls: Frames, width: int, height: int) -> None:
    """The same verdict, map, heatmap and regions by HTTP, /v2 and the record as of the frame that training sees."""
    image = of_size(width, height)
    reply = (await rolls.client.post("/v1/models/belt/predict", content=image)).json()
    pixels = rolls.detector.read_image(image).pixels
    output = rolls.detector.run(pixels)
    evidence = output.evidence
    assert evidence.shape == (int(height / 32 + 0.5) * 2, int(width / 32 + 0.5) * 2)  # of patches of 8 pixels
    assert reply["log_odds"] == pytest.approx(rolls.detector.verdict(evidence).log_odds, abs=1e-4)
    assert reply["inspectable"]
    assert reply["image"] == {"width": width, "height": height}
    heatmap = np.asarray(Image.open(io.BytesIO(base64.b64decode(reply["heatmap"]))))
    assert heatmap.shape == pixels.shape[:2]
    assert len(reply["regions"]) == len(find_regions(rolls.detector.heatmap(output), width, height))
    recorded = f"/v1/inspections/{reply['inference_id']}"
    assert (await rolls.client.get(f"{recorded}/heatmap")).content == base64.b64decode(reply["heatmap"])
    assert (await rolls.client.get(recorded)).json()["regions"] == reply["regions"]
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [base64.b64encode(image).decode()]}
    outputs = [{"name": name} for name in ("probability", "anomaly_map")]
    found = (await rolls.client.post("/v2/models/belt/infer", json={"inputs": [tensor], "outputs": outputs})).json()
    assert found["outputs"][0]["data"] == pytest.approx([reply["probability"]], abs=1e-6)
    assert found["outputs"][1]["shape"] == [1, *evidence.shape]


async def test_an_image_that_no_frame_can_be_is_refused(rolls: Frames) -> None:
    for width, height in ((320, 40), (1280, 896)):
        reply = await rolls.client.post("/v1/models/belt/predict", content=of_size(width, height))
        assert (reply.status_code, reply.json()["type"].rpartition(":")[2]) == (422, "frame-size")
        assert f"an image of {width}×{height} becomes a frame of" in reply.json()["detail"]


async def test_maps_of_several_sizes_are_no_tensor(rolls: Frames) -> None:
    data = [base64.b64encode(of_size(*size)).decode() for size in OTHER_SIZES[:2]]
    inputs = [{"name": "image", "datatype": "BYTES", "shape": [2], "data": data}]
    reply = await rolls.client.post("/v2/models/belt/infer", json={"inputs": inputs})
    assert len(reply.json()["outputs"][0]["data"]) == 2
    body = {"inputs": inputs, "outputs": [{"name": "anomaly_map"}]}
    reply = await rolls.client.post("/v2/models/belt/infer", json=body)
    assert reply.status_code == 400
    assert "send them one by one" in reply.json()["detail"]


async def test_what_does_not_count_is_dark_in_the_overlay(anyio_backend: str, tmp_path: Path) -> None:
    """Of the reply, and of its record."""
    inside = np.zeros((64, 64), np.bool_)
    inside[:, :32] = True
    publish(tmp_path / "store", "plate", roi=inside)
    records = str(tmp_path / "records")
    store = tmp_path / "store"
    settings = Settings(store=store, device="cpu", deadline_ms=60_000, records=records, records_images="all")
    app = create_app(settings)
    async with running(app) as client:
        await until(lambda: app.state.service.model_manager.snapshot.models.get("plate", ModelState()).loaded)
        await until(lambda: not app.state.service.records._writer.error)
        image = io.BytesIO()
        Image.new("RGB", (128, 96), (200, 200, 200)).save(image, "PNG")
        reply = await client.post("/v1/models/plate/predict", content=image.getvalue(), headers={"Accept": "image/png"})
        recorded = f"/v1/inspections/{reply.headers['x-camspector-inference-id']}/overlay"
        again = await client.get(recorded)
        assert again.content == reply.content, again.text
    colours = np.asarray(Image.open(io.BytesIO(reply.content)), np.int16)
    assert (colours[:, 66:] == 60).all()
    assert colours[:, :56].max() > 90


def framed(bench: Bench) -> Service:
    """Its widget has frames of six tiles."""
    (loaded,) = bench.service.model_manager.snapshot.models["widget"].loaded.values()
    manifest = loaded.detector.manifest
    old = manifest.preprocessing
    tiled = Preprocessing(old.input_size, old.full_scale, old.reduced_decoding, old.decoding, FRAME)
    detector = replace(loaded.detector, manifest=replace(manifest, preprocessing=tiled))
    state = ModelState(available=(1,), loaded={1: LoadedModel("widget", 1, detector)})
    bench.service.model_manager.memory.snapshot = ModelSnapshot({"widget": state})
    return bench.service


async def test_tiles_share_batches_and_are_what_the_estimator_learns(bench: Bench) -> None:
    service = framed(bench)
    bench.widget.gate.set()
    reply = await bench.predict(100)
    assert reply.status_code == 200
    assert [len(batch) for batch in bench.widget.batches] == [3, 3]  # max_batch of tiles, not a whole frame
    assert {mean for batch in bench.widget.batches for mean in batch} == {100}
    (cost,) = service.inference.latency._costs.values()
    assert cost.service_seconds >= reply.json()["timing_ms"]["predict"] / 1000 * 0.9
    assert cost.tiles == TILES


async def test_a_frame_that_is_too_large_to_be_done_in_time_is_refused_and_does_not_expire(rolls: Frames) -> None:
    """A file of few bytes may be a frame of many tiles: told once it is decoded, before any of them is queued."""
    service = rolls.recorder.app.state.service
    key, image = ("belt", 1), of_size(800, 448)
    service.inference.latency.learn(Kind.of(key, len(image)), Cost(0.5, 0.5, tiles=TILES), 0.5)
    with service.inference.latency.work(Kind.of(key, len(image))):
        reply = await rolls.client.post("/v1/models/belt/predict", content=image, headers={"X-Deadline-Ms": "2500"})
        assert (reply.status_code, reply.json()["error"]) == (429, "deadline-unreachable")
        assert (await rolls.client.post("/v1/models/belt/predict", content=image)).status_code == 200
    assert service.admission._free == service.settings.queue_size


async def test_a_frame_that_nobody_waits_for_leaves_the_queue_with_all_its_tiles(bench: Bench) -> None:
    framed(bench)
    late = await bench.predict(50, X_Deadline_Ms="300")
    assert late.status_code == 504
    assert bench.waiting() == 3  # the first batch is in the network
    bench.widget.gate.set()
    assert (await bench.predict(60)).status_code == 200
    assert [len(batch) for batch in bench.widget.batches] == [3, 3, 3]
    assert {mean for batch in bench.widget.batches[1:] for mean in batch} == {60}
