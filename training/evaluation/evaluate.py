"""Evaluates an exported version on labelled images, predicted by the float32 reference as in the service."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from model.detector import Detector, load_detector
from model.engines.devices import Device
from model.errors import DataError, ManifestError
from model.figures import Figures
from model.gate import Inspectability
from model.manifest import Manifest
from model.roi import Roi
from model.trunk_choice import TrunkChoice
from model.verdict import prior_shift
from training.data.dataset import Dataset
from training.data.file_errors import naming_file
from training.data.roi import narrowed
from training.data.samples import Sample
from training.evaluation.figures import measure
from training.evaluation.prediction import Prediction
from training.evaluation.thresholds import Rule
from training.progress import Reporter


@dataclass(frozen=True)
class Evaluation:
    """A version's predictions of labelled images, and the figures measured on them."""

    version: Path
    figures: Figures
    predictions: list[Prediction]
    defect_rate: float | None = None
    """The production line's defect rate; None: it was given neither now nor at export."""
    warnings: Sequence[str] = ()
    """What a reader needs to know before trusting the figures."""
    inspectability: Sequence[Inspectability] = ()
    """What the version's gate found of each image."""
    trunk_choice: TrunkChoice | None = None
    """Why the version has the trunk it has; None: trunks were not compared."""
    roi: Roi | None = None
    """Where the images counted, where that is less than in the version."""


def evaluate(
    version: Path,
    dataset: Dataset,
    device: Device,
    reporter: Reporter,
    defect_rate: float | None = None,
    *,
    narrow: bool = False,
) -> Evaluation:
    """Predict and measure every image. `defect_rate`: the production line's; None: the version's, as in the service.
    `narrow`: let nothing count that lies outside the data's region of interest.

    Log-odds are moved to these images' own defect rate before losses and calibration error are taken of them.
    Raises DataError unless both classes are there, ArtifactError where the version is broken.
    """
    defects = sum(sample.is_anomaly for sample in dataset.samples)
    if not 0 < defects < len(dataset.samples):
        raise DataError("figures need both good images and defective ones; only one class is there")
    detector = load_detector(version, device, defect_rate, engine="torch", variant="float32")
    warnings = _overlap_warnings(detector.manifest, dataset)
    roi = narrowed(detector.roi, dataset.roi, *detector.frame_size) if dataset.roi else None
    if roi and narrow:
        detector = replace(detector, roi=roi)
        reporter.line("only what lies within the region of interest beside these images counts")
    elif roi:
        warnings.append(
            "the region of interest beside these images is smaller than the version's own, which counts here; "
            "evaluate --recalibrate makes a version with it"
        )
    for warning in warnings:
        reporter.line(f"warning: {warning}")
    moved = prior_shift(detector.variant.calibration.defect_rate, defects / len(dataset.samples))
    inspected = inspect_all(detector, dataset.samples, reporter)
    predictions = [replace(each, log_odds=each.log_odds + moved, shift=each.shift - moved) for each, _ in inspected]
    inspectability = [found for _, found in inspected]
    protocol = f"{len(predictions)} images by version {version.name} of {version.parent.name!r}"
    in_force = defect_rate or detector.manifest.operating_point.defect_rate
    if warning := _odd_warning(predictions, inspectability):
        reporter.line(f"warning: {warning}")
        warnings.append(warning)
    figures, own = measure(predictions, protocol), roi if narrow else None
    return Evaluation(version, figures, predictions, in_force, warnings, inspectability, roi=own)


def _overlap_warnings(manifest: Manifest, dataset: Dataset) -> list[str]:
    """A sentence where the version was made from these very images."""
    if dataset.fingerprint == manifest.data.fingerprint:
        return ["these are the very images that the version was made from: the figures flatter it"]
    if dataset.fingerprint == manifest.operating_point.fingerprint:
        return ["these are the very images that its thresholds were chosen on: the figures flatter it"]
    return []


def _odd_warning(predictions: Sequence[Prediction], inspectability: Sequence[Inspectability]) -> str:
    """A sentence where the gate stops images, whose decision in the service is review; else empty."""
    odd = [(prediction, found) for prediction, found in zip(predictions, inspectability, strict=True) if found.odd]
    if not odd:
        return ""
    counts = Counter(reason.check for _, found in odd for reason in found.odd)
    checks = ", ".join(f"{check} {count}" for check, count in counts.most_common())
    return (
        f"{len(odd)} of {len(predictions)} images are not inspectable ({checks}), as {odd[0][0].sample.name}: the "
        "service sends them to review, and so they are counted here"
    )


def predict_all(detector: Detector, samples: Sequence[Sample], reporter: Reporter) -> list[Prediction]:
    """As `inspect_all`, the predictions alone."""
    return [prediction for prediction, _ in inspect_all(detector, samples, reporter)]


def inspect_all(
    detector: Detector, samples: Sequence[Sample], reporter: Reporter
) -> list[tuple[Prediction, Inspectability]]:
    """Every image, one alone after the other. Raises DataError, naming an image that can't be predicted."""
    found = []
    with reporter.task("predicting", len(samples)) as advance:
        for sample in samples:
            found.append(inspect(detector, sample))
            advance()
    return found


def inspect(detector: Detector, sample: Sample) -> tuple[Prediction, Inspectability]:
    """One image alone, from its file to its prediction, and what the gate finds of it.

    Raises DataError, naming an image that can't be predicted.
    """
    with naming_file(sample.path):
        image = detector.read_image(sample.path.read_bytes())
    output = detector.run(image.pixels)
    log_odds = detector.verdict(output.evidence).log_odds - detector.shift
    scale = detector.heatmap_scale(output)
    found = detector.inspectability(image.pixels, output.features, (image.width, image.height))
    prediction = Prediction(
        sample, log_odds, detector.thresholds, output.evidence, scale, detector.shift, head=output.head
    )
    distance = found.measures.get("appearance", 0.0)
    return replace(prediction, inspectable=found.inspectable, distance=distance), found


def stored_rule(manifest: Manifest) -> Rule:
    """The rule by which a version's thresholds were chosen. Raises ManifestError for one that this program lacks."""
    try:
        rule: Rule = msgspec.convert(manifest.operating_point.rule, Rule)
    except msgspec.ValidationError as error:
        raise ManifestError(f"the version's rule for thresholds is not known here: {error}") from error
    return rule


def results(evaluation: Evaluation) -> dict[str, Any]:
    """The members of the JSON results but for the rows of images (see `training.report.results`)."""
    return {
        "model": evaluation.version.parent.name,
        "version": int(evaluation.version.name),
        "figures": evaluation.figures,
        **({"trunk_choice": evaluation.trunk_choice} if evaluation.trunk_choice else {}),
    }
