"""Runs a study: the parts' images through the version that serves, as it serves."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.engines.devices import Device
from model.store import Store
from training.evaluation.evaluate import predict_all
from training.msa.agreement import Study, StudyFigures, analyse
from training.msa.images import StudyImage, StudyImages
from training.progress import Reporter
from training.provenance import command, now
from training.serving_version import open_serving


@dataclass(frozen=True)
class StudyReport:
    """What was studied, and the figures."""

    model: str
    version: int
    variant: str
    engine: str
    device: str
    thresholds: tuple[float, float]
    """Probabilities: accept below the first, reject from the second on."""
    defect_rate: float
    created: str
    command: str
    warnings: list[str]
    figures: StudyFigures


def run_study(
    store: Store, model: str, version: int | None, images: StudyImages, device: Device, reporter: Reporter
) -> StudyReport:
    """Predict every image and analyse the decisions. `version` None: the one that serves, by serving.json or as newest.

    Thresholds and defect rate are those in force. Raises DataError, UnknownModelError, UnknownVersionError,
    ArtifactError or ServingError.
    """
    serving = open_serving(store, model, version, device)
    detector = serving.detector
    predictions = predict_all(detector, [image.sample for image in images.images], reporter)
    shape = len(images.stations), len(images.trials), len(images.parts)
    study = Study(
        images.stations,
        images.trials,
        images.parts,
        images.kinds,
        np.array([each.decision for each in predictions]).reshape(shape),
        np.array([each.log_odds + each.shift for each in predictions]).reshape(shape),
    )
    return StudyReport(
        model=model,
        version=serving.version,
        variant=detector.variant.name,
        engine=detector.engine.name,
        device=detector.engine.device,
        thresholds=(detector.thresholds.review, detector.thresholds.reject),
        defect_rate=detector.defect_rate,
        created=now(),
        command=command(),
        warnings=_copies(images.images),
        figures=analyse(study),
    )


def _copies(images: Sequence[StudyImage]) -> list[str]:
    """A sentence where files are the same to the bit: a part that was imaged once can't show repeatability."""
    names: dict[str, list[str]] = defaultdict(list)
    for image in images:
        names[hashlib.sha256(image.sample.path.read_bytes()).hexdigest()].append(image.sample.name)
    copies = [same for same in names.values() if len(same) > 1]
    if not copies:
        return []
    return [f"{sum(map(len, copies))} files are copies, as {' and '.join(copies[0][:2])}: a copy is no second image"]
