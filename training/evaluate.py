"""An exported version on newly labelled images, judged the way the service judges them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.detector import Detector, load_detector
from model.engines.engine import Device
from model.errors import DataError, ImageError
from model.image import decode
from model.manifest import Figures
from training.dataset import Sample
from training.figures import measure
from training.prediction import Prediction
from training.progress import Reporter
from training.survey import Survey


@dataclass(frozen=True)
class Evaluation:
    """What one version made of the images."""

    version: Path
    figures: Figures
    predictions: list[Prediction]


def evaluate(version: Path, data: Survey, device: Device, reporter: Reporter) -> Evaluation:
    """Judge every image. Raises DataError unless both classes are there, ArtifactError where the version is broken."""
    if len({sample.is_anomaly for sample in data.samples}) < 2:
        raise DataError("figures need both good images and defective ones; only one class is there")
    detector = load_detector(version, device)
    if data.fingerprint == detector.manifest.data.fingerprint:
        reporter.line("these are the very images that the version was made from: the figures flatter it")
    predictions = []
    with reporter.task("judging", len(data.samples)) as advance:
        for sample in data.samples:
            predictions.append(judge(detector, sample))
            advance()
    how = f"{len(predictions)} images by version {version.name} of {version.parent.name!r}"
    return Evaluation(version, measure(predictions, how), predictions)


def judge(detector: Detector, sample: Sample) -> Prediction:
    """One image alone, from its file to what is said of it. Raises DataError that names one that can't be judged."""
    try:
        pixels = detector.squash(decode(sample.path.read_bytes()))
    except ImageError as error:
        raise DataError(f"{sample.path}: {error}") from error
    evidence = detector.engine.evidence(pixels[np.newaxis])[0]
    log_odds = detector.verdict(evidence).log_odds - detector.shift
    return Prediction(sample, log_odds, detector.variant.thresholds, evidence, detector.variant.scale, detector.shift)


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """Everything but the images, for `write_results`."""
    return {
        "model": evaluation.version.parent.name,
        "version": int(evaluation.version.name),
        "figures": evaluation.figures,
    }
