"""From data to a version: what is exported is what was measured, and nothing appears by halves."""

import errno
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.detector import Detector, load_detector
from model.errors import DataError, GoldenOutputError, StoreError
from model.gate import CHECKS
from model.hypercolumn import BLOCKS, narrow_widths
from model.manifest import VariantName
from model.store import Store
from tests.training.conftest import no_narrow_trunk_passes, tiny_fine_tuning, tiny_patches, training_run, write_folder
from training.data.dataset import Dataset, check_samples
from training.data.samples import Sample, find_samples
from training.data.splits import Indices, hold_out
from training.data.training_set import Anomalies
from training.estimators import trunk_comparison
from training.estimators.estimator import PreparedEstimator
from training.estimators.factory import estimator_for
from training.estimators.image_head import add_image_head
from training.evaluation.evaluate import Evaluation, results
from training.evaluation.figures import measure
from training.evaluation.post_processing import Maps
from training.evaluation.thresholds import BestBalancedAccuracy, LeastCost
from training.export import version as exporting
from training.export.variants import build_variants
from training.features.imagenet import Trunk
from training.fit import fit
from training.pipeline import FittedPipeline, fit_pipeline
from training.progress import no_progress
from training.training_run import TrainingRun

RATE = 0.05


@dataclass(frozen=True)
class Fit:
    """An estimator's version, with what the same training gives again."""

    estimator: PreparedEstimator
    fitted: Evaluation
    pipeline: FittedPipeline

    @property
    def detector(self) -> Detector:
        return load_detector(self.fitted.version, "cpu", engine="torch", variant="float32")


def fit_once(run: TrainingRun, root: Path) -> Fit:
    estimator = estimator_for(run.recipe).prepare(run)
    fitted = fit(estimator, run, Store(root), "spots")
    return Fit(estimator, fitted, fit_pipeline(estimator, run.method, no_progress))


@pytest.fixture(scope="module")
def fine_tuning_fit(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset, trunk: Trunk) -> Fit:
    run = training_run(dataset, trunk, tiny_fine_tuning(), rule=LeastCost(20), defect_rate=RATE)
    return fit_once(run, tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def patches_fit(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset, trunk: Trunk) -> Fit:
    run = training_run(dataset, trunk, tiny_patches(), rule=LeastCost(20), defect_rate=RATE)
    return fit_once(run, tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def auto_fit(
    tmp_path_factory: pytest.TempPathFactory, dataset: Dataset, trunk: Trunk, few_narrowing_images: None
) -> Fit:
    """With a narrow trunk, since that loses nothing here."""
    run = training_run(dataset, trunk, tiny_patches(trunk="auto"), rule=LeastCost(20), defect_rate=RATE)
    return fit_once(run, tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def cascade_fit(
    tmp_path_factory: pytest.TempPathFactory, dataset: Dataset, trunk: Trunk, few_narrowing_images: None
) -> Iterator[Fit]:
    """With a narrow trunk that clears good images, since it isn't allowed to decide alone."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trunk_comparison, "compare", no_narrow_trunk_passes)
        patch.setattr(trunk_comparison, "MOST_CLEARED_WRONGLY", [0.1])  # of 22 images nothing is as sure as of hundreds
        run = training_run(dataset, trunk, tiny_patches(trunk="auto"), rule=LeastCost(20), defect_rate=RATE)
        yield fit_once(run, tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module", params=["fine_tuning", "patches", "auto", "cascade"])
def one(request: pytest.FixtureRequest) -> Fit:
    chosen: Fit = request.getfixturevalue(f"{request.param}_fit")
    return chosen


def pooled(detector: Detector, sample: Sample) -> float:
    """The log-odds before calibration that the service computes from the image's file."""
    pixels = detector.read_image(sample.path.read_bytes()).pixels
    return float(detector.manifest.pooling(detector.run(pixels).evidence))


# What the version says


def test_the_version_says_how_it_was_made_and_how_good_it_is(one: Fit, dataset: Dataset) -> None:
    version = one.fitted.version
    assert (version.parent.name, version.name) == ("spots", "1")
    manifest = one.detector.manifest
    assert manifest.data.kinds == {"good": 12, "scratch": 5, "spot": 5}
    assert (manifest.data.images, manifest.data.anomalies) == (22, "real")
    assert manifest.data.defect_rate == pytest.approx(10 / 22)
    assert manifest.data.fingerprint == dataset.fingerprint
    assert manifest.network == one.pipeline.model.to_network().hypercolumn
    assert manifest.pooling == one.estimator.recipe.pooling
    assert manifest.preprocessing.input_size == one.estimator.recipe.input_size
    assert manifest.recipe["seed"] == 7
    assert manifest.figures == one.fitted.figures
    assert manifest.figures == measure(one.pipeline.predictions, one.pipeline.protocol)
    assert manifest.variant("float16").figures is None
    assert len(manifest.variant("float32").golden.log_odds) == 5  # a black frame is the last
    assert manifest.libraries.keys() >= {"python", "torch", "pillow"}


def test_the_version_says_which_trunk_it_has_and_why(patches_fit: Fit, auto_fit: Fit) -> None:
    full, narrow = (fit.detector.manifest for fit in (patches_fit, auto_fit))
    assert (full.network.trunk, full.trunk_choice) == (BLOCKS, None)
    assert (narrow.network.trunk, narrow.trunk_choice) == (narrow_widths(0.25), auto_fit.pipeline.trunk_choice)
    assert narrow.trunk_choice is not None
    assert narrow.trunk_choice.trunk == "narrow"
    assert "trunk" not in narrow.recipe["hypercolumn"]
    assert results(auto_fit.fitted)["trunk_choice"] == narrow.trunk_choice
    assert "trunk_choice" not in results(patches_fit.fitted)
    page = (auto_fit.fitted.version / "report" / "report.html").read_text("utf-8")
    assert "The trunk: narrow, 25" in page
    assert "all, other patches" in page
    assert "labels differ" in page
    assert "The trunk:" not in (patches_fit.fitted.version / "report" / "report.html").read_text("utf-8")
    sizes = [(fit.fitted.version / "weights.safetensors").stat().st_size for fit in (auto_fit, patches_fit)]
    assert sizes[0] < sizes[1] / 2


def test_a_cascade_clears_good_images_before_the_full_network(cascade_fit: Fit, dataset: Dataset, trunk: Trunk) -> None:
    choice, manifest = cascade_fit.pipeline.trunk_choice, cascade_fit.detector.manifest
    assert choice is not None
    (taken,) = choice.cascades
    assert (choice.trunk, choice.share, manifest.network.trunk) == ("cascade", 1.0, BLOCKS)
    cascade = manifest.variant("cascade").cascade
    assert cascade is not None
    assert (cascade.share, cascade.cleared) == (0.25, taken.cleared)
    assert taken.cleared > 0.5
    page = (cascade_fit.fitted.version / "report" / "report.html").read_text("utf-8")
    assert "The trunk: cascade" in page
    served = load_detector(cascade_fit.fitted.version, "cpu")
    assert (served.variant.name, served.skipped_variants) == ("cascade", {})
    full = load_detector(cascade_fit.fitted.version, "cpu", variant="int8")
    cleared = 0
    for sample in dataset.samples:
        pixels = served.read_image(sample.path.read_bytes()).pixels
        verdicts = [each.verdict(each.run(pixels).evidence) for each in (served, full)]
        assert verdicts[0].decision == verdicts[1].decision
        if verdicts[0].log_odds != verdicts[1].log_odds:
            cleared += 1
            assert (verdicts[0].decision, sample.kind) == ("accept", "good")
    assert cleared > 6


def test_the_version_says_for_what_its_thresholds_were_chosen(fine_tuning_fit: Fit, patches_fit: Fit) -> None:
    operating_point = patches_fit.detector.manifest.operating_point
    assert operating_point.rule == {"name": "least-cost", "miss_cost": 20.0}
    assert operating_point.summary.startswith(
        "Least expected cost, where a missed defect costs as much as 20 false rejects. "
    )
    assert "of 10 defects missed" in operating_point.summary
    assert "of 12 good parts rejected" in operating_point.summary
    assert (operating_point.defect_rate, operating_point.prior_invariant) == (RATE, False)
    fixed = fine_tuning_fit.detector.manifest.operating_point
    assert fixed.rule == {"name": "fixed", "threshold": 0.5}
    assert fixed.summary.startswith("A fixed threshold of 0.5. ")


def test_the_post_processing_is_in_every_variant(one: Fit) -> None:
    post_processor, manifest = one.pipeline.post_processor, one.detector.manifest
    names = ["float32", "float16", "int8"] + (["cascade"] if one.pipeline.cascade else [])
    assert [variant.name for variant in manifest.variants] == names
    for variant in manifest.variants[:2]:
        assert (variant.calibration, variant.thresholds, variant.heatmap_scale) == (
            post_processor.calibration,
            post_processor.thresholds,
            post_processor.heatmap_scale,
        )
    assert manifest.variant("int8").thresholds == post_processor.thresholds


def test_int8_has_post_processing_that_agrees_with_float32(one: Fit, dataset: Dataset) -> None:
    """Its figures of agreement are those that come out of predicting every image by both."""
    float32 = one.detector
    int8 = load_detector(one.fitted.version, "cpu", variant="int8")
    assert (int8.engine.name, int8.variant.name) == ("onnxruntime", "int8")
    changes, flips = [], 0
    for sample in dataset.samples:
        pixels = float32.read_image(sample.path.read_bytes()).pixels[None]
        ours, theirs = (each.verdict(each.run(pixels[0]).evidence) for each in (float32, int8))
        changes.append(abs(ours.log_odds - theirs.log_odds))
        flips += (ours.label, ours.decision) != (theirs.label, theirs.decision)
    agreement = int8.variant.agreement
    assert agreement is not None
    assert agreement.images == 22
    assert agreement.changed_verdicts == flips
    assert 0 < agreement.median_log_odds_change == pytest.approx(float(np.median(changes)), abs=2e-3)
    sizes = [(one.fitted.version / name).stat().st_size for name in ("model.int8.onnx", "model.onnx")]
    assert sizes[0] < 0.35 * sizes[1]


def test_the_quickest_serves(one: Fit) -> None:
    served, quickest = load_detector(one.fitted.version, "cpu"), one.detector.manifest.variants[-1]
    assert quickest.agreement is not None
    assert quickest.name == ("cascade" if one.pipeline.cascade else "int8")
    assert served.variant.name == ("float32" if quickest.agreement.violations else quickest.name)
    assert served.engine.name == "onnxruntime"


def test_a_report_lies_in_it(one: Fit) -> None:
    report = one.fitted.version / "report"
    assert "spots" in (report / "report.html").read_text("utf-8")
    told: dict[str, Any] = json.loads((report / "report.json").read_bytes())
    assert told["figures"]["protocol"] == one.fitted.figures.protocol
    assert told["subject"]["thresholds"] == asdict(one.pipeline.post_processor.thresholds)
    assert told["subject"]["data"]["kinds"] == {"good": 12, "scratch": 5, "spot": 5}
    assert told["subject"]["one_network"] == (one.estimator.recipe.inner_folds == 0)
    assert "training" in told["subject"]["seconds"]


# What is served is what was measured


@pytest.mark.parametrize("variant", ["float32", "int8"])
def test_a_version_that_fails_its_own_test_is_not_published(
    one: Fit, dataset: Dataset, trunk: Trunk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str
) -> None:
    """float32 must not fail; another variant gives way."""

    def falsified(*arguments: Any) -> Any:
        built = build_variants(*arguments)
        wrong = [
            replace(each, golden=replace(each.golden, log_odds=dict.fromkeys(each.golden.log_odds, 50.0)))
            if each.name == variant
            else each
            for each in built.variants
        ]
        return replace(built, variants=wrong)

    monkeypatch.setattr(exporting, "build_variants", falsified)
    store = Store(tmp_path / "store")
    run = training_run(dataset, trunk, one.estimator.recipe, rule=LeastCost())
    if variant == "int8":
        assert fit(one.estimator, run, store, "part").version.name == "1"
        return
    with pytest.raises(GoldenOutputError, match="float32"):
        fit(one.estimator, run, store, "part")
    assert store.models() == [] or store.versions("part") == []


def maps_of(fit: Fit, indices: Indices) -> Maps:
    """Of the network that is exported."""
    model = fit.pipeline.model
    return add_image_head(
        model.evidence(indices), model.image_log_odds(indices), fit.pipeline.post_processor.head.verdict
    )


def test_golden_images_have_the_log_odds_of_the_trained_network(one: Fit, dataset: Dataset) -> None:
    golden = one.detector.manifest.variant("float32").golden.log_odds
    goods = [i for i, sample in enumerate(dataset.samples) if not sample.is_anomaly]
    bads = [i for i, sample in enumerate(dataset.samples) if sample.is_anomaly]
    expected = one.estimator.recipe.pooling(maps_of(one, np.array(goods[:2] + bads[:2])))
    assert [golden[f"golden/{number}.png"] for number in range(4)] == pytest.approx(expected.tolist(), abs=2e-3)


def test_the_service_predicts_every_image_as_training_does(one: Fit, dataset: Dataset) -> None:
    """From its file through the exported network, alone."""
    detector = one.detector
    said = one.pipeline.post_processor.predictions(dataset.samples, maps_of(one, np.arange(22)), None)
    for expected in said:
        assert pooled(detector, expected.sample) == pytest.approx(
            float(detector.manifest.pooling(expected.evidence)), abs=2e-3
        )
        pixels = detector.read_image(expected.sample.path.read_bytes()).pixels
        verdict = detector.verdict(detector.run(pixels).evidence)
        assert verdict.probability == pytest.approx(expected.probability, abs=1e-3)
        assert verdict.decision == expected.decision


def test_held_out_images_of_fine_tuning_are_served_as_they_were_measured(
    fine_tuning_fit: Fit, dataset: Dataset
) -> None:
    """There the measured network is the one that is exported."""
    held = hold_out(dataset.samples, 0.25, 7).test
    measured = {prediction.sample.name: prediction.log_odds for prediction in fine_tuning_fit.fitted.predictions}
    assert measured.keys() == {dataset.samples[i].name for i in held}
    for i in held:
        served = pooled(fine_tuning_fit.detector, dataset.samples[i])
        assert served == pytest.approx(measured[dataset.samples[i].name], abs=1e-3)


def test_the_gate_is_served_as_it_was_measured(one: Fit, dataset: Dataset) -> None:
    """Every check's value, by every engine; and the limits are those of the held-out images."""
    measured = one.estimator.measures.copy()
    measured[:, -1] = one.pipeline.appearance.distance(one.pipeline.model.features(np.arange(22)))
    for engine in ("torch", "onnxruntime"):
        detector = load_detector(one.fitted.version, "cpu", engine=engine, variant="float32")
        for expected, sample in zip(measured[::4], dataset.samples[::4], strict=True):
            image = detector.read_image(sample.path.read_bytes())
            features = detector.run(image.pixels).features
            found = detector.inspectability(image.pixels, features, (image.width, image.height))
            assert list(found.measures) == list(CHECKS)
            assert list(found.measures.values())[:-1] == expected[:-1].tolist()
            assert found.measures["appearance"] == pytest.approx(expected[-1], rel=5e-5)  # 1.4e-5 with a narrow trunk
    assert one.detector.manifest.gate == one.pipeline.gate
    assert one.detector.appearance
    assert np.array_equal(one.detector.appearance.distances, one.pipeline.appearance.distances)


def test_the_gate_tells_what_it_reached(patches_fit: Fit) -> None:
    gate = patches_fit.detector.manifest.gate
    assert gate
    assert (gate.images, gate.odd_rate, gate.odd_bound) == (22, 0.005, pytest.approx(1 / 11))
    assert "of 12 good images and" in gate.summary
    assert "So few images vouch for 9.1 % only: 0.5 % takes 199 of each." in gate.summary


@pytest.mark.parametrize("variant", ["float32", "int8"])
def test_a_black_frame_is_not_inspectable(one: Fit, variant: VariantName) -> None:
    detector = load_detector(one.fitted.version, "cpu", engine="onnxruntime", variant=variant)
    size = detector.input_size
    black = np.zeros((size, size, 3), np.uint8)
    found = detector.inspectability(black, detector.run(black).features, None)
    assert not found.inspectable
    assert {"brightness", "clipped"} <= {reason.check for reason in found.odd}


# Good images alone, and none of a class


@pytest.mark.parametrize(("anomalies", "flat"), [("synthetic", False), ("both", True)])
def test_good_images_alone_make_a_version(tmp_path: Path, trunk: Trunk, anomalies: Anomalies, flat: bool) -> None:
    root = write_folder(tmp_path / "product", good=18 if flat else 9, bad=0)
    dataset = check_samples(find_samples(root / "train" if flat else root))
    run = training_run(dataset, trunk, tiny_patches(), rule=BestBalancedAccuracy(), anomalies=anomalies)
    evaluation = fit_once(run, tmp_path / "store").fitted
    manifest = load_detector(evaluation.version, "cpu").manifest
    assert (manifest.data.kinds, manifest.data.images, manifest.data.anomalies) == ({"good": 9}, 9, "synthetic")
    assert manifest.data.defect_rate == 0
    assert len(manifest.variant("float32").golden.log_odds) == 3  # a black frame is the last
    assert manifest.figures is not None
    assert manifest.figures.by_kind.keys() == {"good", "synthetic"}
    assert manifest.figures.localisation is None
    assert (evaluation.version / "report/report.html").is_file()


def test_synthetic_anomalies_are_no_images_of_the_data(tmp_path: Path, trunk: Trunk, dataset: Dataset) -> None:
    run = training_run(dataset, trunk, tiny_patches(), rule=LeastCost(20), defect_rate=RATE, anomalies="both")
    evaluation = fit_once(run, tmp_path).fitted
    manifest = load_detector(evaluation.version, "cpu").manifest
    assert manifest.data.kinds == {"good": 12, "scratch": 5, "spot": 5}
    assert (manifest.data.images, manifest.data.anomalies) == (22, "both")
    assert evaluation.figures.by_kind.keys() == {"good", "scratch", "spot"}


def test_without_any_defect_and_none_made_it_says_what_to_do(tmp_path: Path, trunk: Trunk) -> None:
    dataset = check_samples(find_samples(write_folder(tmp_path / "product", good=9, bad=0)))
    with pytest.raises(DataError, match=r"no image is of a defective part.*`fit --anomalies synthetic`"):
        fit_once(training_run(dataset, trunk, tiny_patches()), tmp_path / "store")


# Nothing by halves


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))])
def test_an_interrupted_export_leaves_no_version(
    dataset: Dataset, trunk: Trunk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    def half(path: Path, *_: object) -> None:
        (path / "weights.safetensors").write_bytes(b"half")
        raise failure

    monkeypatch.setattr(exporting, "write_artifact", half)
    expected = KeyboardInterrupt if isinstance(failure, KeyboardInterrupt) else StoreError
    store = Store(tmp_path)
    with pytest.raises(expected):
        fit_once(training_run(dataset, trunk, tiny_patches(mining_rounds=1), rule=LeastCost(20)), tmp_path)
    assert store.models() == []
    assert list((store.root / "spots").iterdir()) == []
