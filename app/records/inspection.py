"""An inspection as it is recorded: everything that its reply is made of, and by what it was decided."""

import hashlib
from dataclasses import dataclass, replace
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from app.inference.pipeline import InspectionResult
from app.models.model_snapshot import LoadedModel
from app.monitoring.request_record import RequestRecord, StepName
from app.records.inference_id import new_inference_id
from model.evidence import HeatmapScale
from model.gate import Odd
from model.preprocessing import heatmap_size
from model.regions import Region, find_regions
from model.verdict import Thresholds, Verdict

STEPS: Final[tuple[StepName, ...]] = get_args(StepName)


@dataclass(frozen=True)
class Origin:
    """Where an image came from."""

    request_id: str
    received_at: int
    """Milliseconds since 1970, UTC."""
    part_id: str | None = None
    """Percent-decoded."""
    key: str | None = None
    """Name of the API key."""
    station: str | None = None
    idempotency_key: str | None = None
    challenge: str | None = None
    """What a known test part is known to be (X-Challenge); None: a part of production."""
    line: str | None = None
    """Name of the production line."""

    @staticmethod
    def of(record: RequestRecord, station: str, line: str, idempotency_key: str | None = None) -> "Origin":
        return Origin(
            record.request_id,
            round(1000 * record.received_at),
            record.part_id_text,
            record.key,
            station or None,
            idempotency_key,
            record.challenge_kind,
            line or None,
        )


@dataclass(frozen=True)
class Basis:
    """On what a verdict rests; drawing its heatmap again needs nothing else of the version."""

    model: str
    version: int
    variant: str
    thresholds: Thresholds
    defect_rate: float
    serving_sha256: str
    """Of serving.json's content in force, as the service writes it."""
    input_size: int
    """Longer side of the heatmap, in pixels: the input's, where that is a whole image."""
    full_scale: int | None
    heatmap_scale: HeatmapScale

    @staticmethod
    def of(loaded: LoadedModel) -> "Basis":
        detector = loaded.detector
        preprocessing = detector.manifest.preprocessing
        return Basis(
            loaded.model,
            loaded.version,
            detector.variant.name,
            detector.thresholds,
            detector.defect_rate,
            loaded.config_sha256,
            detector.heatmap_size,
            preprocessing.full_scale,
            detector.variant.heatmap_scale,
        )


@dataclass(frozen=True)
class SentImage:
    """The image that was sent."""

    width: int
    height: int
    """EXIF-transposed, in pixels."""
    sha256: str | None
    """Of its bytes; None: it was sent as pixels."""
    size: int
    """In bytes; 0: it was sent as pixels."""


@dataclass(frozen=True)
class Inspection:
    """One inspected image."""

    inference_id: str
    origin: Origin
    basis: Basis
    verdict: Verdict
    odd: tuple[Odd, ...]
    """Why the image can't be inspected; empty: it can."""
    typicality: float
    """Conformal p-value of its appearance."""
    image: SentImage
    evidence: NDArray[np.float32]
    """h×w in log-odds, as the network gave it: pooled it is the verdict, rendered by `basis.heatmap_scale` the
    heatmap."""
    found: list[Region] | None
    """None: nobody asked for regions; `regions` finds them."""
    timing_ms: dict[StepName, float]

    @staticmethod
    def of(result: InspectionResult, basis: Basis, origin: Origin, sha256: str | None, regions: bool) -> "Inspection":
        """`regions`: whether they were looked for."""
        image = result.image
        return Inspection(
            new_inference_id(origin.received_at),
            origin,
            replace(basis, input_size=heatmap_size(*image.pixels.shape[1::-1]), heatmap_scale=result.heatmap_scale),
            result.verdict,
            result.inspectability.odd,
            result.inspectability.typicality,
            SentImage(image.width, image.height, sha256, len(image.encoded)),
            result.evidence,
            result.regions if regions else None,
            {name: round(1000.0 * result.record.seconds(name), 1) for name in STEPS},
        )

    @property
    def inspectable(self) -> bool:
        return not self.odd

    def heatmap(self) -> NDArray[np.float32]:
        """In 0..1, the same to the bit as when it was inspected."""
        return self.basis.heatmap_scale.heatmap(self.evidence, self.basis.input_size)

    def regions(self) -> list[Region]:
        """Those that were found, or would have been."""
        if self.found is not None:
            return self.found
        return find_regions(self.heatmap(), self.image.width, self.image.height)


@dataclass(frozen=True)
class Target:
    """What a person says that a part is: the truth."""

    label: str
    """good, or a kind of defect."""
    by: str | None
    at: int
    """Milliseconds since 1970, UTC."""
    note: str | None


@dataclass(frozen=True)
class Recorded:
    """An inspection in the records, and what has become of it since."""

    inspection: Inspection
    image_path: str | None
    """Below the folder of images; None: it isn't kept."""
    target: Target | None = None


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
