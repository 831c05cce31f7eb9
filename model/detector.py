"""A loaded version: from evidence map to verdict, heatmap and anomaly map."""

import logging
import math
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from model.appearance import Appearance
from model.artifact import GATE, Artifact, read_artifact
from model.decoding_probes import difference
from model.engines.cascade import CascadeEngine
from model.engines.devices import Device
from model.engines.engine import Engine, EngineChoice, engines_for, open_engine, replay_golden
from model.engines.output import FrameOutput, NetworkOutput, concatenate
from model.errors import ArtifactError, CamspectorError, EngineError
from model.evidence import HeatmapScale
from model.gate import Inspectability, odd_checks
from model.image_measures import pixel_measures, size_measures
from model.manifest import EngineName, Manifest, Variant, VariantName
from model.preprocessing import InputImage, Preprocessor, heatmap_size
from model.roi import Roi
from model.terms import Terms
from model.verdict import Thresholds, Verdict, sigmoid

log = logging.getLogger(__name__)

VariantChoice = Literal["auto", "float32", "float16", "int8", "cascade"]
REPLAYED: Final = 2
"""Golden images that are replayed of a version that has reproduced all of them in this process."""
_QUICKEST_FIRST: Final[tuple[VariantName, ...]] = ("float16", "cascade", "int8", "float32")
_ROUNDING: Final = 1e-6


@dataclass(frozen=True)
class Detector(Terms):
    """One version with its engine open and its golden outputs reproduced."""

    engine: Engine
    appearance: Appearance | None
    """What images look like to the gate; None: there is none."""
    roi: Roi | None = field(default=None, kw_only=True)
    """Where an image counts; None: everywhere."""

    @property
    def terms(self) -> Terms:
        """Without what takes memory."""
        return Terms(**{each.name: getattr(self, each.name) for each in fields(Terms)})

    @cached_property
    def running(self) -> Engine:
        """What runs: of a cascade the full network alone where less is accepted than by the version's own thresholds,
        for which its narrow one was measured."""
        if not isinstance(self.engine, CascadeEngine):
            return self.engine
        own = Terms(self.manifest, self.variant).accepted_below
        return self.engine if self.accepted_below > own - _ROUNDING else self.engine.full

    def read_image(self, data: bytes) -> InputImage:
        """An encoded image as the network sees it. Raises as `model.preprocessing.Resizing` does."""
        return self.preprocessor(data)

    @property
    def preprocessor(self) -> Preprocessor:
        return Preprocessor(self.manifest.preprocessing.resizing, self.roi)

    def run(self, pixels: NDArray[np.uint8]) -> FrameOutput:
        """The network's output for one frame H×W×3, tile by tile.

        Raises DeviceMemoryError or EngineError.
        """
        tiles, most = self.tiling.cut(pixels), self.running.preferred_batch_size
        starts = range(0, len(tiles), most)
        return self.merge(concatenate([self.running.run(np.stack(tiles[i : i + most])) for i in starts]), pixels)

    def merge(self, output: NetworkOutput, pixels: NDArray[np.uint8]) -> FrameOutput:
        """The output for the tiles of a frame H×W×3 as that for the frame."""
        (height, width), network = pixels.shape[:2], self.manifest.network
        merged = self.tiling.merge(output, height, width, network.cells(self.input_size // network.stride))
        if self.roi is None:
            return merged
        if not np.isfinite(merged.evidence).all():
            raise self._not_finite("evidence")
        return merged._replace(evidence=self.roi.exclude(merged.evidence))

    def verdict(self, evidence: NDArray[np.float32]) -> Verdict:
        """The verdict on one evidence map h×w. Raises EngineError where the network gave no numbers."""
        log_odds = self.variant.calibration(float(self.manifest.pooling(evidence)), self.shift)
        if not math.isfinite(log_odds):
            raise self._not_finite("evidence")
        probability, thresholds = sigmoid(log_odds), self.thresholds
        return Verdict(thresholds.label_of(probability), thresholds.decision_of(probability), probability, log_odds)

    def inspectability(
        self, pixels: NDArray[np.uint8], features: NDArray[np.float32], size: tuple[int, int] | None
    ) -> Inspectability:
        """Whether an image can be inspected: its frame H×W×3, its features F, and width and height of what was sent,
        None where that was the frame itself. Raises EngineError where the network gave no numbers."""
        measures = ({} if size is None else size_measures(*size)) | pixel_measures(pixels)
        if self.appearance is None:
            return Inspectability(odd_checks(measures, self.limits), measures=measures)
        distance = float(self.appearance.distance(features)) / self.variant.distance_scale
        if not math.isfinite(distance):
            raise self._not_finite("feature vector")
        measures["appearance"] = distance
        return Inspectability(odd_checks(measures, self.limits), self.appearance.typicality(distance), measures)

    def _not_finite(self, what: str) -> EngineError:
        return EngineError(f"the network's {what} in {self.variant.name} on {self.engine.device} is not finite")

    def anomaly_map(self, evidence: NDArray[np.float32], scale: HeatmapScale) -> NDArray[np.float32]:
        """Calibrated log-odds of an evidence map h×w at the defect rate in force; pooled: the verdict's. Outside the
        region of interest those of an ordinary good patch, by the image's own scale."""
        calibration = self.variant.calibration
        evidence = scale.known(evidence)
        return np.asarray(calibration.slope * evidence + (calibration.offset + self.shift), np.float32)

    def heatmap_scale(self, output: FrameOutput) -> HeatmapScale:
        """What renders this evidence: the model's own fixed scale, moved by what its image head says of this image and
        heatmaps don't show."""
        return self.variant.heatmap_scale.moved((1 - self.manifest.head_share) * output.head)

    def heatmap(self, output: FrameOutput) -> NDArray[np.float32]:
        """Heatmap of a frame, in 0..1: S×S, or a frame's size, up to a megapixel."""
        longer = self.heatmap_size
        if self.scales_alike:
            height, width = (self.manifest.network.stride * side for side in output.evidence.shape)
            longer = heatmap_size(width, height)
        return self.heatmap_scale(output).heatmap(output.evidence, longer)


def load_detector(
    path: Path,
    device: Device,
    defect_rate: float | None = None,
    thresholds: Thresholds | None = None,
    *,
    engine: EngineChoice = "auto",
    variant: VariantChoice = "auto",
) -> Detector:
    """Read, open and self-test a version. `defect_rate` and `thresholds`: the line's own, None for the version's.

    The quickest variant serves that runs here, agrees with float32 and reproduces its golden outputs; one that doesn't
    is passed over with one log line. Named by `variant`, one serves even where it doesn't agree. One more line tells
    where images are decoded otherwise than in training.
    Raises ArtifactError or EngineError.
    """
    artifact = read_artifact(path)
    if other := difference(artifact.manifest.preprocessing.decoding):
        log.warning("%s: %s", path, other)
    skipped_variants: dict[str, str] = {}
    failure: CamspectorError = EngineError(
        f"{path} has no variant that can run on {device} with engine {engine} and variant {variant}; it has "
        + "; ".join(f"{each.name} for {' and '.join(each.files)}" for each in artifact.manifest.variants)
    )
    for candidate, name in _candidates(artifact.manifest, device, engine, variant):
        violations = candidate.agreement.violations if candidate.agreement else []
        if violations and variant == "auto":
            skipped_variants[candidate.name] = "; ".join(violations)
            log.warning("%s: variant %s doesn't serve: %s", path, candidate.name, skipped_variants[candidate.name])
            continue
        terms = Terms(
            artifact.manifest,
            candidate,
            line_rate=defect_rate,
            line_thresholds=thresholds,
            skipped_variants=skipped_variants,
            decoding_difference=other,
        )
        try:
            return _open(artifact, terms, device, name)
        except (ArtifactError, EngineError) as error:
            failure = error
            skipped_variants[candidate.name] = str(error)
            log.warning("variant %s by %s can't serve on this host: %s", candidate.name, name, error)
    raise failure


def reopen_detector(path: Path, device: Device, terms: Terms, engine: EngineName) -> Detector:
    """Open a version again that `load_detector` opened as `terms` and by `engine`: only the files that serve are read
    and checked, and two golden images are replayed, one on each of the engine's ways. Raises ArtifactError or
    EngineError."""
    artifact, variant = Artifact(path, terms.manifest), terms.variant
    golden = list(variant.golden.log_odds)[:REPLAYED]
    artifact.check([*variant.files_of(engine), GATE, *filter(None, [terms.manifest.preprocessing.roi]), *golden])
    return _open(artifact, terms, device, engine, REPLAYED)


def _open(
    artifact: Artifact, terms: Terms, device: Device, engine: EngineName, replayed: int | None = None
) -> Detector:
    opened = open_engine(artifact, terms.variant, device, engine)
    replay_golden(opened, artifact, terms.variant, replayed)
    known = {each.name: getattr(terms, each.name) for each in fields(Terms)}
    return Detector(**known, engine=opened, appearance=artifact.appearance, roi=artifact.roi)


def _candidates(
    manifest: Manifest, device: Device, engine: EngineChoice, variant: VariantChoice
) -> list[tuple[Variant, EngineName]]:
    """Variants that can run here, the quickest first, each by every engine that can run it."""
    there = {each.name: each for each in manifest.variants if variant in ("auto", each.name)}
    quickest = [there[name] for name in _QUICKEST_FIRST if name in there]
    return [(each, name) for each in quickest for name in engines_for(each, device, engine)]
