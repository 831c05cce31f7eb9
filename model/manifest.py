"""manifest.json: what a version is, how it was made and how good it was measured to be."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

import msgspec

from model.errors import ManifestError, SchemaError
from model.evidence import HeatmapScale, Pooling
from model.files import utf8
from model.hypercolumn import Hypercolumn
from model.image import FullScale
from model.verdict import Calibration, Thresholds

SCHEMA: Final = 2
MOST_CHANGE: Final = 0.1
MOST_FLIPS: Final = 0.005
MOST_AUROC_LOSS: Final = 0.002
"""What a variant may differ from float32 and still serve by default: log-odds, share of verdicts, AUROC."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Amount = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
EngineName = Literal["torch", "onnxruntime"]
VariantName = Literal["float32", "float16", "int8"]


@dataclass(frozen=True)
class Decoding:
    """What decoded the training's pictures."""

    libraries: dict[str, str]
    """Versions by name."""
    pixels: Digest
    """SHA-256 of the pixels of fixed pictures (`model.decoding_probes`)."""


@dataclass(frozen=True)
class Preprocessing:
    """What `model.preprocessing.resize_to_input` needs to know."""

    input_size: Annotated[int, msgspec.Meta(ge=32, le=4096, multiple_of=16)]
    full_scale: FullScale | None = None
    """The value that is white in 16-bit gray pictures; None where the training data had none."""
    decoding: Decoding | None = None
    """None: the version was made before that was kept."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: Amount
    low: Amount
    high: Amount


@dataclass(frozen=True)
class KindErrors:
    """Of `images` of one kind (good, or a kind of defect), `wrong` were judged wrongly."""

    wrong: Count
    images: Count
    auroc: Share | None = None
    """Of this kind of defect against all good images; None: the kind is good."""


@dataclass(frozen=True)
class Decisions:
    """How many images of one class got each decision."""

    accept: Count
    review: Count
    reject: Count

    @property
    def images(self) -> int:
        return self.accept + self.review + self.reject


@dataclass(frozen=True)
class CalibrationError:
    """How far probabilities are from the shares of anomalies among images that got them (15 equal-mass bins).

    Right probabilities have such an error too, since images are few: half of the time above `chance_median`, once in
    twenty above `chance_95`.
    """

    value: Share
    chance_median: Share
    chance_95: Share


@dataclass(frozen=True)
class Localisation:
    """How well maps lie on masks, at size×size pixels, over images with a mask and good ones."""

    size: Count
    images: Count
    """With a mask."""
    components: Count
    """Connected pieces of those masks: defects."""
    pixel_auroc: Share
    """Of defective against all other pixels."""
    aupro: Share
    """Mean overlap with components over false-positive rates of pixels up to 30 %, 1 at best (Bergmann et al. 2021)."""
    pointing: Estimate
    """Share of images with a mask whose brightest pixel lies on it, without tolerance (Zhang et al. 2018)."""
    region_iou: Share
    """Intersection over union of a component and the region that fits it best, 0 without any; mean over components."""
    components_hit: Estimate
    """Share of components that some region touches."""


@dataclass(frozen=True)
class Figures:
    """What was measured on images that the measured model had not seen. Positive is anomaly.

    Intervals are Wilson's for shares of images, made from those for balanced accuracy, else a stratified bootstrap's.
    """

    how: str
    """On which images, by which models, at which threshold."""
    true_positives: Count
    true_negatives: Count
    false_positives: Count
    false_negatives: Count
    accuracy: Estimate
    balanced_accuracy: Estimate
    auroc: Estimate
    average_precision: Estimate
    miss_rate_at_1_percent: Estimate
    """Share of defects missed at the cut that rejects at most 1 % of these good images."""
    miss_rate_at_5_percent: Estimate
    log_loss: Estimate
    """In nats; this, Brier score and calibration error at the share of defects that the calibration holds at."""
    brier_score: Estimate
    calibration_error: CalibrationError
    good_decisions: Decisions
    defect_decisions: Decisions
    errors_by_kind: dict[str, KindErrors]
    good_with_region: Estimate
    """Share of good images whose picture shows a region."""
    good_picture_median: Share
    """Median of the picture's values over good images."""
    localisation: Localisation | None = None
    """None: no image has a mask."""


@dataclass(frozen=True)
class Outcome:
    """What thresholds do on held-out images: a miss is a defect accepted, a false reject a good image rejected."""

    defects: Decisions
    goods: Decisions
    miss_rate: Estimate
    false_reject_rate: Estimate
    miss_bound: Share
    """The miss rate lies below it with 95 % certainty (exact, one-sided); 1 where there are no defects."""
    false_reject_bound: Share


@dataclass(frozen=True)
class Golden:
    """Log-odds before calibration that the golden images had at export, by file name, and how far they may be off."""

    tolerance: Annotated[float, msgspec.Meta(gt=0)]
    log_odds: Annotated[dict[str, float], msgspec.Meta(min_length=1)]


@dataclass(frozen=True)
class Agreement:
    """How far a variant's calibrated verdicts are from float32's, over all images of the data set.

    Of the very network that was exported: it has learnt from these images, so this is a difference and no accuracy.
    """

    images: Annotated[int, msgspec.Meta(ge=1)]
    median_change: Amount
    """Of the log-odds' size of change."""
    flips: Count
    """Images whose label or decision is another."""
    auroc_change: float | None
    """None: the data has one class."""

    @property
    def faults(self) -> list[str]:
        """Why this variant doesn't serve by default, in words; empty: it does."""
        most = max(1, int(MOST_FLIPS * self.images))
        found = []
        if self.median_change > MOST_CHANGE:
            found.append(f"its log-odds differ by {self.median_change:.3g} in the median (at most {MOST_CHANGE:g})")
        if self.flips > most:
            found.append(f"{self.flips} of {self.images} verdicts are others (at most {most})")
        if self.auroc_change is not None and self.auroc_change < -MOST_AUROC_LOSS:
            found.append(f"its AUROC is lower by {-self.auroc_change:.3g} (at most {MOST_AUROC_LOSS:g})")
        return found


@dataclass(frozen=True)
class Variant:
    """One numeric form of the network with everything that depends on it."""

    name: VariantName
    files: Annotated[dict[EngineName, str], msgspec.Meta(min_length=1)]
    calibration: Calibration
    thresholds: Thresholds
    scale: HeatmapScale
    golden: Golden
    figures: Figures | None
    """None: this variant was not measured by itself."""
    agreement: Agreement | None = None
    """With float32; None: float32 itself, or not measured."""


@dataclass(frozen=True)
class Data:
    """The images that the version was made from."""

    fingerprint: Digest
    """SHA-256 over every image's content and kind, sorted."""
    images: Annotated[int, msgspec.Meta(ge=1)]
    kinds: dict[str, Count]
    anomalies: Literal["real", "synthetic", "both"]
    """Which were learnt from."""

    @property
    def defect_share(self) -> float:
        """The share of anomalies among the images."""
        return 1 - self.kinds.get("good", 0) / self.images


@dataclass(frozen=True)
class Operation:
    """For what the thresholds were chosen."""

    rule: dict[str, Any]
    """Its name and what it was given."""
    says: str
    """The rule in words, and what it did on held-out images."""
    defect_rate: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None
    """The line's share of defects that thresholds and probabilities are at; None: the data's."""
    keeps_verdicts: bool
    """When the line's share becomes another: whether thresholds move, so that verdicts stay, or stay as they are."""
    fingerprint: Digest | None = None
    """Of the images that calibration and thresholds were chosen on; None: of those that the version was made from."""


@dataclass(frozen=True)
class Manifest:
    """The whole file. Unknown members are ignored, so that a later minor addition does no harm."""

    schema: Literal[2]
    classes: tuple[Literal["good"], Literal["anomaly"]]
    preprocessing: Preprocessing
    network: Hypercolumn
    pooling: Pooling
    operation: Operation
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
        text = utf8(data)
        schema = msgspec.json.decode(text, type=dict[str, Any]).get("schema")
        if schema != SCHEMA:
            raise SchemaError(f"{source} has schema {schema!r}; this program reads schema {SCHEMA}")
        return msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ManifestError(f"{source} can't be read: {error}") from error
