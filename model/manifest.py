"""manifest.json: what a version is, how it was made and how good it was measured to be."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

import msgspec

from model.errors import ManifestError, SchemaError
from model.evidence import PictureScale, Pooling
from model.image import FullScale
from model.verdict import Calibration, Thresholds

SCHEMA: Final = 1

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
EngineName = Literal["torch"]


@dataclass(frozen=True)
class Preprocessing:
    """What `model.preprocessing.squash` needs to know."""

    input_size: Annotated[int, msgspec.Meta(ge=32, le=4096, multiple_of=16)]
    full_scale: FullScale | None = None
    """The value that is white in 16-bit gray pictures; None where the training data had none."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: Share
    low: Share
    high: Share


@dataclass(frozen=True)
class KindErrors:
    """Of `images` of one kind (good, or a kind of defect), `wrong` were judged wrongly."""

    wrong: Count
    images: Count


@dataclass(frozen=True)
class Figures:
    """What was measured on images that the measured model had not seen. Positive is anomaly."""

    how: str
    """On which images, by which models, at which threshold."""
    true_positives: Count
    true_negatives: Count
    false_positives: Count
    false_negatives: Count
    accuracy: Estimate
    balanced_accuracy: Estimate
    auroc: Share
    average_precision: Share
    errors_by_kind: dict[str, KindErrors]
    good_with_region: Estimate | None = None
    """Share of good images whose picture shows a region, at a level chosen on other images; None: not measured."""
    good_picture_median: Share | None = None
    """Median of the picture's values over good images; over several folds, the mean of theirs."""


@dataclass(frozen=True)
class Golden:
    """Log-odds before calibration that the golden images had at export, by file name, and how far they may be off."""

    tolerance: Annotated[float, msgspec.Meta(gt=0)]
    log_odds: Annotated[dict[str, float], msgspec.Meta(min_length=1)]


@dataclass(frozen=True)
class Variant:
    """One numeric form of the network with everything that depends on it."""

    name: Literal["float32", "float16"]
    files: Annotated[dict[EngineName, str], msgspec.Meta(min_length=1)]
    calibration: Calibration
    thresholds: Thresholds
    scale: PictureScale
    golden: Golden
    figures: Figures | None
    """None: this variant was not measured by itself."""


@dataclass(frozen=True)
class Data:
    """The images that the version was made from."""

    fingerprint: Digest
    """SHA-256 over every image's content and kind, sorted."""
    images: Count
    kinds: dict[str, Count]
    defect_share: Annotated[float, msgspec.Meta(gt=0, lt=1)]
    """The share of anomalies among the images."""


@dataclass(frozen=True)
class Manifest:
    """The whole file. Unknown members are ignored, so that a later minor addition does no harm."""

    schema: Literal[1]
    classes: tuple[Literal["good"], Literal["anomaly"]]
    preprocessing: Preprocessing
    pooling: Pooling
    variants: Annotated[list[Variant], msgspec.Meta(min_length=1)]
    data: Data
    trunk_sha256: Digest
    """Of the 13 ImageNet layers that training began with (see `model.weights.trunk_digest`)."""
    files: dict[str, Digest]
    """SHA-256 of every file that serving reads, by its path within the version."""
    created: str
    """ISO 8601, UTC."""
    command: str
    recipe: dict[str, Any]
    """The preset's configuration, as training understands it."""
    libraries: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if "float32" not in (names := [variant.name for variant in self.variants]) or len(set(names)) < len(names):
            raise ValueError("variants must be different and float32 among them")

    def variant(self, name: str) -> Variant:
        """The variant of that name. Raises KeyError."""
        return next(variant for variant in self.variants if variant.name == name)

    @property
    def figures(self) -> Figures | None:
        """What was measured of the float32 network."""
        return self.variant("float32").figures


def encode(manifest: Manifest) -> bytes:
    """manifest.json's bytes, indented for people."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode(data: bytes, source: str = "manifest.json") -> Manifest:
    """Parse manifest.json. Raises ManifestError or SchemaError, naming `source` and the member that is wrong."""
    try:
        schema = msgspec.json.decode(data, type=dict[str, Any]).get("schema")
        if schema != SCHEMA:
            raise SchemaError(f"{source} has schema {schema!r}; this program reads schema {SCHEMA}")
        return msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ManifestError(f"{source} can't be read: {error}") from error
