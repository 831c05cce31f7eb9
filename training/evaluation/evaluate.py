"""An exported version on newly labelled images, judged by the float32 reference as the service would."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from model.detector import Detector, load_detector
from model.engines.devices import Device
from model.errors import DataError, ManifestError
from model.image import decode
from model.manifest import Figures, Manifest
from model.verdict import prior_shift
from training.data.dataset import Dataset
from training.data.file_errors import naming_file
from training.data.samples import Sample
from training.evaluation.figures import measure
from training.evaluation.prediction import Prediction
from training.evaluation.thresholds import Rule
from training.progress import Reporter


@dataclass(frozen=True)
class Evaluation:
    """What one version made of the images."""

    version: Path
    figures: Figures
    predictions: list[Prediction]
    defect_rate: float | None = None
    """The line's share of defects; None: nobody told it, then or now."""
    warnings: Sequence[str] = ()
    """What must be known before the figures are trusted."""


def evaluate(
    version: Path, data: Dataset, device: Device, reporter: Reporter, defect_rate: float | None = None
) -> Evaluation:
    """PostProcessor every image. `defect_rate`: the line's share of defects, None for the version's, as in the service.

    Log-odds are moved to these images' own share of defects before losses and calibration error are taken of them.
    Raises DataError unless both classes are there, ArtifactError where the version is broken.
    """
    defects = sum(sample.is_anomaly for sample in data.samples)
    if not 0 < defects < len(data.samples):
        raise DataError("figures need both good images and defective ones; only one class is there")
    detector = load_detector(version, device, defect_rate, engine="torch", variant="float32")
    known = _known(detector.manifest, data)
    for warning in known:
        reporter.line(f"warning: {warning}")
    moved = prior_shift(detector.variant.calibration.defect_share, defects / len(data.samples))
    predictions = []
    with reporter.task("judging", len(data.samples)) as advance:
        for sample in data.samples:
            said = judge(detector, sample)
            predictions.append(replace(said, log_odds=said.log_odds + moved, shift=said.shift - moved))
            advance()
    how = f"{len(predictions)} images by version {version.name} of {version.parent.name!r}"
    told = defect_rate or detector.manifest.operation.defect_rate
    return Evaluation(version, measure(predictions, how), predictions, told, known)


def _known(manifest: Manifest, data: Dataset) -> list[str]:
    """Whether the version knows these images."""
    if data.fingerprint == manifest.data.fingerprint:
        return ["these are the very images that the version was made from: the figures flatter it"]
    if data.fingerprint == manifest.operation.fingerprint:
        return ["these are the very images that its thresholds were chosen on: the figures flatter it"]
    return []


def judge(detector: Detector, sample: Sample) -> Prediction:
    """One image alone, from its file to what is said of it. Raises DataError that names one that can't be judged."""
    with naming_file(sample.path):
        pixels = detector.resize_to_input(decode(sample.path.read_bytes()))
    evidence = detector.engine.evidence(pixels[np.newaxis])[0]
    log_odds = detector.verdict(evidence).log_odds - detector.shift
    return Prediction(sample, log_odds, detector.thresholds, evidence, detector.variant.scale, detector.shift)


def stored_rule(manifest: Manifest) -> Rule:
    """The rule by which a version's thresholds were chosen. Raises ManifestError for one that this program lacks."""
    try:
        rule: Rule = msgspec.convert(manifest.operation.rule, Rule)
    except msgspec.ValidationError as error:
        raise ManifestError(f"the version's rule for thresholds is not known here: {error}") from error
    return rule


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """Everything but the images, for `write_results`."""
    return {
        "model": evaluation.version.parent.name,
        "version": int(evaluation.version.name),
        "figures": evaluation.figures,
    }
