"""The region of interest: what lies outside changes nothing, in training, in a version and in a reply."""

import io
import json
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from app.application import create_app
from app.models.model_snapshot import ModelState
from app.settings import Settings
from model.artifact import ROI
from model.detector import Detector, load_detector
from model.errors import DataError, ManifestError
from model.roi import FILL, Roi, read_roi
from model.store import Store
from tests.app.conftest import running, until
from tests.training.conftest import prepare_patches, quiet, save, tiny_patches, training_run
from training.data.dataset import Dataset, load_dataset
from training.data.masks import Mask
from training.data.roi import narrowed, roi_of
from training.estimators.factory import estimator_for
from training.estimators.image_head import HeadWeights
from training.evaluation.evaluate import evaluate
from training.features.imagenet import Trunk
from training.fit import fit
from training.pipeline import fit_pipeline
from training.progress import no_progress
from training.recalibrate import choose_method, recalibrate
from training.resolution import with_frame

SIZE = 240
LEFT = np.zeros((SIZE, SIZE), np.bool_)
LEFT[:, :150] = True
SPOT = 24


def part(seed: int, *spots: tuple[int, int]) -> np.ndarray:
    """Gray noise with bright spots at these rows and columns."""
    pixels = np.random.default_rng(seed).integers(60, 120, (SIZE, SIZE, 3), dtype=np.uint8)
    for row, column in spots:
        pixels[row : row + SPOT, column : column + SPOT] = 255
    return pixels


def write(root: Path, roi: np.ndarray | None = LEFT, seed: int = 0) -> Path:
    """Eight good parts and eight with a spot inside; outside is another on half of all, the label says nothing of."""
    rng = np.random.default_rng(seed)
    for i in range(8):
        outside = [(int(rng.integers(0, 200)), 190)] if i % 2 else []
        row, column = (int(rng.integers(0, SIZE - SPOT)), int(rng.integers(0, 110)))
        save(root / "good" / f"{i}.png", Image.fromarray(part(seed + i, *outside)))
        save(root / "spot" / f"{i}.png", Image.fromarray(part(seed + 100 + i, (row, column), *outside)))
        mask = np.zeros((SIZE, SIZE), np.uint8)
        mask[row : row + SPOT, column : column + SPOT] = 255
        save(root / "ground_truth" / "spot" / f"{i}_mask.png", Image.fromarray(mask))
    if roi is not None:
        save(root / "roi.png", Image.fromarray(roi))
    return root


def load(root: Path) -> Dataset:
    return load_dataset(root, group=None, sample=None, seed=0, reporter=quiet())


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load(write(tmp_path_factory.mktemp("roi")))


@pytest.fixture(scope="module", params=[None, "0.6"], ids=["one tile", "a frame"])
def version(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, dataset: Dataset, trunk: Trunk
) -> Path:
    recipe, _ = with_frame(tiny_patches(resolution=request.param), dataset.samples, dataset.sizes)
    run = training_run(dataset, trunk, recipe)
    store = Store(tmp_path_factory.mktemp("store"))
    return fit(estimator_for(recipe).prepare(run), run, store, "part").version


def open_version(version: Path) -> Detector:
    return load_detector(version, "cpu", engine="torch", variant="float32")


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


PLANTED = [(100, 152), (0, 210), (200, 170)]
"""Defects outside, the first two pixels beyond the edge."""


def test_a_planted_defect_outside_changes_no_bit_of_what_the_network_sees_and_gives(version: Path) -> None:
    detector = open_version(version)
    for inside in ([], [(40, 60)]):
        clean, planted = (detector.read_image(png(part(7, *inside, *outside))) for outside in ([], PLANTED))
        assert clean.pixels.tobytes() == planted.pixels.tobytes()
        one, other = (detector.run(image.pixels) for image in (clean, planted))
        assert one.evidence.tobytes() == other.evidence.tobytes()
        verdicts = [detector.verdict(output.evidence) for output in (one, other)]
        assert verdicts[0] == verdicts[1]
        found = [detector.inspectability(clean.pixels, output.features, (SIZE, SIZE)) for output in (one, other)]
        assert found[0] == found[1]


def test_outside_nothing_counts_and_nothing_is_drawn(version: Path) -> None:
    detector = open_version(version)
    assert detector.roi is not None
    output = detector.run(detector.read_image(png(part(7, (40, 60)))).pixels)
    evidence = output.evidence
    outside = np.isneginf(evidence)
    assert 0 < outside.sum() < outside.size
    assert not outside[:, : evidence.shape[1] // 2].any()
    assert outside[:, -(evidence.shape[1] // 4) :].all()
    hot = np.where(outside, evidence, np.float32(1e3))
    heatmap = detector.heatmap(output._replace(evidence=hot))
    right = heatmap.shape[1] * 3 // 4
    assert not heatmap[:, right:].any()
    assert heatmap[:, : heatmap.shape[1] // 2].min() > 0.9
    scale = detector.heatmap_scale(output).moved(5.0)  # the image's own
    anomaly_map = detector.anomaly_map(evidence, scale)
    calibration = detector.variant.calibration
    assert anomaly_map[outside] == pytest.approx(calibration(scale.good_median, detector.shift), abs=1e-4)
    assert anomaly_map[~outside] == pytest.approx(
        calibration.slope * evidence[~outside] + calibration.offset + detector.shift, abs=1e-3
    )
    assert detector.verdict(evidence).log_odds == detector.verdict(np.where(outside, -np.inf, evidence)).log_odds


def test_spots_inside_are_found_and_those_outside_are_not(version: Path) -> None:
    detector = open_version(version)
    figures = detector.manifest.figures
    assert figures is not None
    assert figures.auroc.value == 1.0


def test_int8_is_compared_within(version: Path, dataset: Dataset) -> None:
    """The agreement that its version tells is that of what it serves."""
    int8 = load_detector(version, "cpu", engine="onnxruntime", variant="int8")
    log_odds = [
        [each.verdict(each.run(each.read_image(sample.path.read_bytes()).pixels).evidence).log_odds for each in pair]
        for pair in [(int8, open_version(version))]
        for sample in dataset.samples
    ]
    assert int8.variant.agreement is not None
    found = float(np.median(np.abs(np.diff(log_odds))))
    assert found == pytest.approx(int8.variant.agreement.median_log_odds_change, abs=1e-3)


async def served(version: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings(store=version.parent.parent, device="cpu", deadline_ms=60_000))
    async with running(app) as client:
        await until(lambda: app.state.service.model_manager.snapshot.models.get("part", ModelState()).loaded)
        yield client


@pytest.mark.anyio
async def test_a_planted_defect_outside_changes_no_digit_of_a_reply(version: Path) -> None:
    async for client in served(version):
        replies = []
        for outside in ([], PLANTED):
            reply = await client.post("/v1/models/part/predict", content=png(part(7, (40, 60), *outside)))
            assert reply.status_code == 200, reply.text
            replies.append(reply.json())
        for name in ("label", "decision", "probability", "log_odds", "typicality", "odd", "heatmap", "regions"):
            assert replies[0][name] == replies[1][name]
        info = (await client.get("/v1/models/part")).json()["versions"][0]
        shown = await client.get("/v1/models/part/versions/1/roi.png")
        assert info["roi"] is True
        assert shown.content == (version / ROI).read_bytes()
        frame = open_version(version).frame_size
        pixels = np.array(Image.fromarray(part(7, (40, 60), *PLANTED)).resize(frame))
        tensor = {"name": "pixels", "datatype": "UINT8", "shape": [1, *pixels.shape], "data": pixels.ravel().tolist()}
        outputs = [{"name": "anomaly_map"}, {"name": "decision"}]
        infer = await client.post("/v2/models/part/infer", json={"inputs": [tensor], "outputs": outputs})
        assert infer.status_code == 200, infer.text
        assert infer.json()["outputs"][1]["data"] == [replies[0]["decision"]]
        assert all(value is not None for value in infer.json()["outputs"][0]["data"])


def test_what_is_served_is_what_was_trained(dataset: Dataset, trunk: Trunk, tmp_path: Path) -> None:
    """Evidence within the region of interest and, with an image head that heatmaps show a quarter of, its rendering."""
    run = training_run(dataset, trunk, tiny_patches(), anomalies="both")
    run = replace(run, method=replace(run.method, head=HeadWeights(2.0, 0.5)))
    estimator = estimator_for(run.recipe).prepare(run)
    detector = open_version(fit(estimator, run, Store(tmp_path), "part").version)
    assert detector.manifest.head_share == 0.25
    pipeline = fit_pipeline(estimator, run.method, no_progress)
    model, real = pipeline.model, pipeline.training_set.real
    predictions = pipeline.post_processor.predictions(dataset.samples, model.evidence(real), model.image_log_odds(real))
    assert len({prediction.heatmap_scale for prediction in predictions}) == len(predictions)
    for sample, prediction in zip(dataset.samples, predictions, strict=True):
        output = detector.run(detector.read_image(sample.path.read_bytes()).pixels)
        found, expected = output.evidence, prediction.evidence
        assert np.array_equal(np.isneginf(found), np.isneginf(expected))
        inside = np.isfinite(found)
        assert found[inside] == pytest.approx(expected[inside], abs=2e-3)
        rendered = detector.heatmap_scale(output)(found)
        assert rendered[inside] == pytest.approx(prediction.heatmap_scale(expected)[inside], abs=1e-3)


def test_no_patch_outside_is_learnt_from(dataset: Dataset, trunk: Trunk) -> None:
    prepared = prepare_patches(dataset, trunk)
    outside = prepared.coverage == -1
    assert outside[:, 7].all()
    assert not outside[:, 0].any()
    poisoned = np.array(prepared.features)
    poisoned[outside] = np.nan
    model = prepared.fit(np.arange(16)).patch_model
    object.__setattr__(prepared, "features", poisoned)
    assert np.array_equal(prepared.fit(np.arange(16)).patch_model.weights, model.weights)


# A version's own, narrowed


@pytest.fixture(scope="module")
def narrowed_version(tmp_path_factory: pytest.TempPathFactory, trunk: Trunk) -> tuple[Path, Path, Dataset]:
    """Of images that all count, and after it one of its own with thresholds from others, whose right half doesn't."""
    store, recipe = Store(tmp_path_factory.mktemp("store")), tiny_patches()
    run = training_run(load(write(tmp_path_factory.mktemp("all"), roi=None)), trunk, recipe)
    version = fit(estimator_for(recipe).prepare(run), run, store, "part").version
    labelled = load(write(tmp_path_factory.mktemp("since"), seed=50))
    method = choose_method(open_version(version).manifest, labelled, None, None)
    evaluation = evaluate(version, labelled, "cpu", quiet(), narrow=True)
    found = recalibrate(evaluation, labelled, method, store, quiet())
    return version, found.version, labelled


def test_recalibration_narrows_where_a_version_looks(narrowed_version: tuple[Path, Path, Dataset]) -> None:
    old, new = map(open_version, narrowed_version[:2])
    labelled = narrowed_version[2]
    assert old.roi is None
    assert new.roi is not None
    assert labelled.roi is not None
    assert np.array_equal(new.roi.inside, roi_of(labelled.roi, *new.frame_size).inside)
    clean, planted = (new.read_image(png(part(7, (40, 60), *outside))) for outside in ([], PLANTED))
    assert clean.pixels.tobytes() == planted.pixels.tobytes()
    found = new.run(clean.pixels).evidence
    assert np.isneginf(found).any()
    assert math.isfinite(new.verdict(found).log_odds)
    assert {variant.name for variant in new.manifest.variants} == {"float32", "float16"}
    assert "int8" in {variant.name for variant in old.manifest.variants}
    assert not any("int8" in name for name in new.manifest.files)


def test_evaluation_says_that_another_area_is_not_the_version_s(
    narrowed_version: tuple[Path, Path, Dataset],
) -> None:
    old, new, labelled = narrowed_version
    for version, told in ((old, True), (new, False)):
        warnings = evaluate(version, labelled, "cpu", quiet()).warnings
        assert any("smaller than the version's own" in warning for warning in warnings) == told


@pytest.mark.parametrize(
    ("own", "expected"),
    [(None, "mask"), (LEFT, None), (~LEFT, "error"), (np.tile(np.arange(SIZE) < 200, (SIZE, 1)), "mask")],
)
def test_an_area_is_narrowed_and_never_widened(own: np.ndarray | None, expected: str | None) -> None:
    mask = Mask.of(LEFT)
    version = None if own is None else roi_of(Mask.of(own), SIZE, SIZE)
    if expected == "error":
        with pytest.raises(DataError, match="leaves nothing of the version's own"):
            narrowed(version, mask, SIZE, SIZE)
        return
    found = narrowed(version, mask, SIZE, SIZE)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert np.array_equal(found.inside, roi_of(mask, SIZE, SIZE).inside)


# The file


def test_only_pixels_that_nothing_outside_has_touched_count() -> None:
    roi = roi_of(Mask.of(LEFT), 48, 48)
    assert roi.inside[:, :28].all()
    assert not roi.inside[:, 29:].any()
    filled = roi.fill(np.zeros((48, 48, 3), np.uint8))
    assert filled[0, 47].tolist() == list(FILL)
    assert not filled[:, :28].any()


@pytest.mark.parametrize(
    ("roi", "message"),
    [
        (np.zeros((SIZE, SIZE), np.bool_), "leaves nothing"),
        (np.ones((SIZE, SIZE // 2), np.bool_), "roi.png is"),
        (np.random.default_rng(0).integers(0, 256, (SIZE, SIZE), np.uint8), "neither dark nor bright"),
    ],
)
def test_a_file_that_can_not_be_meant_is_refused(roi: np.ndarray, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        load(write(tmp_path, roi))


def polygons(width: int = SIZE, **members: object) -> str:
    return json.dumps({"image": {"width": width, "height": SIZE}, **members})


LEFT_POLYGON = [[0, 0], [150, 0], [150, SIZE], [0, SIZE]]


def test_polygons_say_what_a_mask_says(tmp_path: Path, dataset: Dataset) -> None:
    root = write(tmp_path, roi=None)
    (root / "roi.json").write_text(polygons(include=[LEFT_POLYGON]))
    found = load(root)
    assert found.roi == dataset.roi
    assert len(found.samples) == 16


def test_polygons_hold_for_the_same_images_at_another_size(tmp_path: Path, dataset: Dataset) -> None:
    root = write(tmp_path, roi=None)
    half = {"width": SIZE // 2, "height": SIZE // 2}
    corners = [[x / 2, y / 2] for x, y in LEFT_POLYGON]
    (root / "roi.json").write_text(json.dumps({"image": half, "include": [corners]}))
    assert load(root).roi == dataset.roi


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (polygons(include=[LEFT_POLYGON[:2]]), "polygon 1 of include has 2 corners"),
        (polygons(ignore=[[[0, 0], [SIZE, 0], [SIZE, SIZE], [0, SIZE]]]), "leaves nothing"),
        (polygons(include=[[[0, 0], [0.1, 0], [0, 0.1]]]), "leaves nothing"),
        (polygons(width=2 * SIZE, include=[LEFT_POLYGON]), "is for images of 480×240, but some are 240×240"),
    ],
)
def test_polygons_that_can_not_be_meant_are_refused(text: str, message: str, tmp_path: Path) -> None:
    root = write(tmp_path, roi=None)
    (root / "roi.json").write_text(text)
    with pytest.raises(DataError, match=message):
        load(root)


def test_polygons_beside_a_mask_are_refused(tmp_path: Path) -> None:
    (write(tmp_path) / "roi.json").write_text(polygons(include=[LEFT_POLYGON]))
    with pytest.raises(DataError, match="both say where images count"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["roi.png", "roi.json"])
def test_a_link_to_nothing_is_refused(name: str, tmp_path: Path) -> None:
    (write(tmp_path, roi=None) / name).symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match=name):
        load(tmp_path)


def test_a_file_that_is_white_says_nothing(tmp_path: Path) -> None:
    assert load(write(tmp_path, np.ones((SIZE, SIZE), np.bool_))).roi is None


def test_defects_outside_are_told(tmp_path: Path) -> None:
    found = load(write(tmp_path, ~LEFT))
    assert any(
        "defects of" in warning and "lie outside the region of interest" in warning for warning in found.warnings
    )


def test_a_version_whose_file_is_of_another_size_is_refused(version: Path, tmp_path: Path) -> None:
    manifest = open_version(version).manifest
    assert manifest.files.keys() >= {ROI}
    (tmp_path / ROI).write_bytes(Roi(np.ones((32, 32), np.bool_)).png)
    with pytest.raises(ManifestError, match=r"roi.png is \(32, 32\), not"):
        read_roi(tmp_path / ROI, *manifest.preprocessing.resizing.frame_size)
