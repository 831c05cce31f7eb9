"""A loaded version, from squashed pixels' evidence to verdict and picture."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.artifact import Artifact, read_artifact
from model.engines.engine import Device, Engine, open_engine, replay_golden
from model.errors import EngineError, GoldenOutputError
from model.evidence import enlarge
from model.manifest import Manifest, Variant
from model.preprocessing import squash
from model.verdict import Thresholds, Verdict, prior_shift, sigmoid

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Detector:
    """One version with its engine open and its golden outputs reproduced."""

    manifest: Manifest
    variant: Variant
    engine: Engine
    line_rate: float | None = None
    """The line's share of defects; None: that for which the version was exported."""
    line_thresholds: Thresholds | None = None
    """In place of the version's, as probabilities at `defect_rate`."""

    @property
    def defect_rate(self) -> float:
        """The share of defects that probabilities and thresholds are at."""
        return self.line_rate or self._exported_rate

    @property
    def thresholds(self) -> Thresholds:
        """What decides. The version's own move with the line's share where their rule keeps verdicts."""
        if self.line_thresholds is not None:
            return self.line_thresholds
        exported = self.variant.thresholds
        if not self.manifest.operation.keeps_verdicts:
            return exported
        return exported.moved(prior_shift(self._exported_rate, self.defect_rate))

    @property
    def _exported_rate(self) -> float:
        return self.manifest.operation.defect_rate or self.variant.calibration.defect_share

    @property
    def shift(self) -> float:
        """Log-odds that the line's own share of defects adds."""
        return prior_shift(self.variant.calibration.defect_share, self.defect_rate)

    @property
    def input_size(self) -> int:
        return self.manifest.preprocessing.input_size

    def squash(self, photo: Image.Image) -> NDArray[np.uint8]:
        """A decoded photo as the network sees it: uint8 S×S×3. Raises BrightnessError."""
        return squash(photo, self.input_size, self.manifest.preprocessing.full_scale)

    def verdict(self, evidence: NDArray[np.float32]) -> Verdict:
        """The verdict on one evidence map h×w. Raises EngineError where the network gave no numbers."""
        log_odds = self.variant.calibration(float(self.manifest.pooling(evidence)), self.shift)
        if not math.isfinite(log_odds):
            raise EngineError(f"the network's evidence in {self.variant.name} on {self.engine.device} is not finite")
        probability, thresholds = sigmoid(log_odds), self.thresholds
        return Verdict(thresholds.label_of(probability), thresholds.decision_of(probability), probability, log_odds)

    def calibrated(self, evidence: NDArray[np.float32]) -> NDArray[np.float32]:
        """One map h×w in calibrated log-odds, the line's share of defects included: its pool is the verdict's."""
        calibration = self.variant.calibration
        return np.asarray(calibration.slope * evidence + (calibration.offset + self.shift), np.float32)

    def picture(self, evidence: NDArray[np.float32]) -> NDArray[np.float32]:
        """The rendering of one map h×w at the input size: S×S in 0..1, on the model's own fixed scale."""
        return self.variant.scale(enlarge(evidence, self.input_size))


def load_detector(
    path: Path, device: Device, defect_rate: float | None = None, thresholds: Thresholds | None = None
) -> Detector:
    """Read, open and self-test a version. `defect_rate` and `thresholds`: the line's own, None for the version's.

    A variant that fails here is dropped with one log line and the next one serves; only a failing float32 refuses the
    version. Raises ArtifactError or EngineError.
    """
    artifact = read_artifact(path)
    variant, engine = _open_first(artifact, device)
    return Detector(artifact.manifest, variant, engine, defect_rate, thresholds)


def _open_first(artifact: Artifact, device: Device) -> tuple[Variant, Engine]:
    candidates = [artifact.manifest.variant("float32")]
    if device == "cuda":
        candidates = [variant for variant in artifact.manifest.variants if variant.name == "float16"] + candidates
    for variant in candidates:
        try:
            engine = open_engine(artifact, variant, device)
            replay_golden(engine, artifact, variant)
        except (GoldenOutputError, EngineError) as error:
            if variant.name == "float32":
                raise
            log.warning("%s: variant %s is dropped on this host: %s", artifact.path, variant.name, error)
        else:
            return variant, engine
    raise AssertionError("unreachable: float32 either serves or raises")
