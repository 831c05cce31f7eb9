"""New thresholds on newly labelled images: the same network, another version."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from model.artifact import GATE, ONNX_NARROW_INT8, SUMS, Artifact, read_artifact, read_sums
from model.detector import load_detector
from model.drift import Drift
from model.errors import DataError, ErrorBoundError
from model.manifest import OperatingPoint
from model.signatures import SIGNATURE, SigningKey
from model.store import Store
from model.verdict import Thresholds, logit, prior_shift
from tests.support.artifacts import NETWORK, publish
from tests.support.cascade import add_cascade
from tests.support.signing import key_files
from tests.training.conftest import quiet
from training.data.dataset import Dataset
from training.evaluation.evaluate import Evaluation, evaluate
from training.evaluation.thresholds import BestBalancedAccuracy, ErrorRateLimits, Fixed, LeastCost, Rule
from training.recalibrate import choose_method, recalibrate

NEW = 0.02
"""The production line's defect rate."""


@dataclass(frozen=True)
class Recalibrated:
    """Version 1, what it made of the images, and version 2."""

    old: Artifact
    before: Evaluation
    after: Evaluation
    new: Artifact


@pytest.fixture(scope="module")
def recalibrated(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Recalibrated:
    private, _ = key_files(tmp_path_factory.mktemp("keys"))
    store = Store(tmp_path_factory.mktemp("store"), signing_key=SigningKey.read(private))
    version = publish(store.root, "spots", hypercolumn=replace(NETWORK, image_head=True, head_apart=True))
    old = read_artifact(version)
    before = evaluate(version, dataset, "cpu", quiet())
    method = choose_method(old.manifest, dataset, BestBalancedAccuracy(), NEW, parts_per_false_alarm=5_000)
    after = recalibrate(before, dataset, method, store, quiet())
    return Recalibrated(old, before, after, read_artifact(after.version))


def test_the_network_is_the_same_and_still_gives_its_golden_outputs(recalibrated: Recalibrated) -> None:
    assert (recalibrated.new.path.parent.name, recalibrated.new.path.name) == ("spots", "2")
    names = recalibrated.old.manifest.files
    assert recalibrated.new.manifest.files.keys() == names.keys()
    assert (
        recalibrated.new.file("weights.safetensors").read_bytes()
        == recalibrated.old.file("weights.safetensors").read_bytes()
    )
    golden = [name for name in names if name.startswith("golden/")]
    assert np.array_equal(recalibrated.new.golden_pixels(golden), recalibrated.old.golden_pixels(golden))
    goldens = [artifact.manifest.variant("float32").golden for artifact in (recalibrated.old, recalibrated.new)]
    assert goldens[0] == goldens[1]
    load_detector(recalibrated.new.path, "cpu")  # replays them


def test_a_cascade_is_left_out(tmp_path: Path, dataset: Dataset) -> None:
    """What it may clear was found for other thresholds."""
    store = Store(tmp_path)
    version = publish(store.root, "spots", onnx=True)
    add_cascade(version)
    before = evaluate(version, dataset, "cpu", quiet())
    method = choose_method(read_artifact(version).manifest, dataset, BestBalancedAccuracy(), NEW)
    after = recalibrate(before, dataset, method, store, quiet())
    artifact = read_artifact(after.version)
    assert [variant.name for variant in artifact.manifest.variants] == ["float32"]
    assert ONNX_NARROW_INT8 not in artifact.manifest.files
    assert not (after.version / ONNX_NARROW_INT8).exists()
    assert load_detector(after.version, "cpu").variant.name == "float32"


def test_it_is_signed_with_every_file_in_the_sums(recalibrated: Recalibrated) -> None:
    files = {path.relative_to(recalibrated.new.path).as_posix() for path in recalibrated.new.path.rglob("*.*")}
    assert "report/report.html" in files
    assert read_sums(recalibrated.new.file(SUMS)).keys() == files - {SIGNATURE}
    assert recalibrated.new.file(SIGNATURE).stat().st_size == 89  # 64 bytes in base64, and the line's end


def test_what_is_new_is_what_comes_after_the_network(recalibrated: Recalibrated, dataset: Dataset) -> None:
    old, new = recalibrated.old.manifest, recalibrated.new.manifest
    variant = new.variant("float32")
    assert variant.calibration.defect_rate == pytest.approx(10 / 22)
    assert variant.figures == recalibrated.after.figures
    assert variant.heatmap_scale != old.variant("float32").heatmap_scale
    label = variant.thresholds.label
    assert variant.thresholds == Thresholds(label, label, label)
    assert label == pytest.approx(NEW)  # where balanced accuracy is best: at the share of defects
    rest = {
        "operating_point": old.operating_point,
        "variants": old.variants,
        "created": old.created,
        "command": old.command,
        "drift": old.drift,
        "gate": old.gate,
        "files": old.files,
    }
    changed = {name for name in new.files if new.files[name] != old.files[name]}
    assert changed == {GATE}
    assert replace(new, **rest) == old  # type: ignore[arg-type]


def test_the_gate_has_limits_of_the_new_images(recalibrated: Recalibrated) -> None:
    gate, new, old = recalibrated.new.manifest.gate, recalibrated.new.appearance, recalibrated.old.appearance
    assert gate
    assert new
    assert old
    values = [found.measures for found in recalibrated.before.inspectability]
    brightness = [measures["brightness"] for measures in values]
    assert (gate.images, gate.odd_rate) == (len(values), 0.005)
    assert gate.limits["brightness"][0] < min(brightness)
    assert max(brightness) < gate.limits["brightness"][1] < 255
    distances = sorted(np.float32(measures["appearance"]) for measures in values)
    assert new.distances.tolist() == distances
    assert np.array_equal(new.mean, old.mean)


def test_the_manifest_tells_for_what_and_on_what(recalibrated: Recalibrated, dataset: Dataset) -> None:
    operating_point = recalibrated.new.manifest.operating_point
    assert operating_point == OperatingPoint(
        {"name": "best-balanced-accuracy"},
        operating_point.summary,
        NEW,
        prior_invariant=True,
        fingerprint=dataset.fingerprint,
    )
    assert operating_point.summary.startswith("Best balanced accuracy")
    assert "of 10 defects missed" in operating_point.summary
    assert recalibrated.after.figures.protocol == (
        "22 newly labelled images in 5 folds, each post-processed as the others decide; network of version 1"
    )
    assert "too few images to trust" in " ".join(recalibrated.after.warnings)
    page = (recalibrated.new.path / "report" / "report.html").read_text()
    assert "network of version 1, with calibration and thresholds chosen on these images" in page


def test_the_service_decides_by_the_new_thresholds(recalibrated: Recalibrated) -> None:
    """Calibrated log-odds of the same maps, moved to the line's defect rate."""
    old, new = (load_detector(artifact.path, "cpu") for artifact in (recalibrated.old, recalibrated.new))
    assert new.defect_rate == NEW
    calibration = new.variant.calibration
    changed = 0
    for prediction in recalibrated.before.predictions:
        pooled = float(new.manifest.pooling(prediction.evidence))
        verdict = new.verdict(prediction.evidence)
        assert verdict.log_odds == pytest.approx(calibration(pooled) + prior_shift(10 / 22, NEW))
        assert verdict.label == ("anomaly" if verdict.log_odds >= logit(NEW) else "good")
        changed += verdict.label != old.verdict(prediction.evidence).label
    assert changed


def test_heatmaps_go_on_showing_a_share_of_the_image_head(recalibrated: Recalibrated) -> None:
    new = load_detector(recalibrated.new.path, "cpu")
    assert new.manifest.head_share == recalibrated.old.manifest.head_share == 0.25
    heads = np.array([prediction.head for prediction in recalibrated.before.predictions])
    assert np.ptp(heads) > 0.1
    good = [each for each in recalibrated.before.predictions if not each.sample.is_anomaly]
    shown = np.concatenate([(each.evidence - 0.75 * each.head).ravel() for each in good])
    assert new.variant.heatmap_scale.good_median == pytest.approx(float(np.median(shown)), abs=1e-4)


def test_images_have_thresholds_of_the_other_folds(recalibrated: Recalibrated) -> None:
    assert sorted({prediction.fold for prediction in recalibrated.after.predictions}) == [0, 1, 2, 3, 4]
    heads = {each.sample.name: each.head for each in recalibrated.before.predictions}
    levels = {  # of a fold; what an image's own head moves them by is taken off
        (each.fold, round(each.heatmap_scale.region_threshold - 0.75 * heads[each.sample.name], 3))
        for each in recalibrated.after.predictions
    }
    assert len(levels) == 5
    assert len({level for _, level in levels}) > 1


def test_evaluating_on_those_images_again_is_warned_of(recalibrated: Recalibrated, dataset: Dataset) -> None:
    (warning,) = evaluate(recalibrated.new.path, dataset, "cpu", quiet()).warnings
    assert "its thresholds were chosen on" in warning


@pytest.mark.parametrize(
    ("stored", "asked", "used"),
    [
        (ErrorRateLimits(0.35, 0.35), None, ErrorRateLimits(0.35, 0.35)),
        (Fixed(0.5), None, LeastCost(10)),
        (ErrorRateLimits(0.35, 0.35), LeastCost(2), LeastCost(2)),
    ],
)
@pytest.mark.parametrize(("told", "rate"), [(None, 0.05), (0.1, 0.1)])
def test_without_a_rule_or_a_rate_the_versions_own_are_kept(
    recalibrated: Recalibrated,
    dataset: Dataset,
    stored: Rule,
    asked: Rule | None,
    used: Rule,
    told: float | None,
    rate: float,
) -> None:
    names = {ErrorRateLimits: "error-rate-limits", Fixed: "fixed"}
    rule = {"name": names[type(stored)]} | {name: getattr(stored, name) for name in stored.__struct_fields__}
    operating_point = OperatingPoint(rule, "…", 0.05, prior_invariant=True)
    method = choose_method(replace(recalibrated.old.manifest, operating_point=operating_point), dataset, asked, told)
    assert (method.rule, method.defect_rate) == (used, rate)


def test_false_alarms_of_drift_are_as_rare_as_asked_for_or_as_before(
    recalibrated: Recalibrated, dataset: Dataset
) -> None:
    old = recalibrated.old.manifest
    assert recalibrated.new.manifest.drift is not None
    assert recalibrated.new.manifest.drift.parts_per_false_alarm == 5_000
    rarer = replace(old, drift=Drift(2_000_000, {}, []))
    assert choose_method(rarer, dataset, None, None).parts_per_false_alarm == 2_000_000
    assert choose_method(rarer, dataset, None, None, parts_per_false_alarm=500).parts_per_false_alarm == 500


def test_images_that_the_network_learnt_from_are_refused(recalibrated: Recalibrated, dataset: Dataset) -> None:
    manifest = recalibrated.old.manifest
    known = replace(manifest, data=replace(manifest.data, fingerprint=dataset.fingerprint))
    with pytest.raises(DataError, match="the network learnt from these very images"):
        choose_method(known, dataset, None, None)


@pytest.mark.parametrize("defects", [0, 1])
def test_too_few_images_are_refused(recalibrated: Recalibrated, dataset: Dataset, defects: int) -> None:
    goods = [sample for sample in dataset.samples if not sample.is_anomaly]
    bads = [sample for sample in dataset.samples if sample.is_anomaly]
    few = goods + bads[:defects]
    some = replace(dataset, samples=few, digests=dataset.digests[: len(few)])
    with pytest.raises(DataError, match=r"no image is of a defective part|class anomaly has 1 image"):
        choose_method(recalibrated.old.manifest, some, None, None)


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (0.001, "a miss rate under 0.1 % needs at least 2,995 defects with no miss; you have 10$"),
        (0.28, "needs at least 10 defects with no miss; you have 8 besides those held out"),
    ],
)
def test_an_error_bound_that_takes_more_images_is_refused(
    recalibrated: Recalibrated, dataset: Dataset, limit: float, message: str
) -> None:
    with pytest.raises(ErrorBoundError, match=message):
        choose_method(recalibrated.old.manifest, dataset, ErrorRateLimits(limit), None)
