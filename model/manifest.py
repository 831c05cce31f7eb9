"""manifest.json: what a version is, how it was made and how good it was measured to be (docs/artifact.md)."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

import msgspec

from model.drift import Drift
from model.errors import ManifestError
from model.evidence import HeatmapScale, Pooling
from model.figures import Amount, Count, Figures, Share
from model.files import utf8
from model.gate import Gate
from model.hypercolumn import Hypercolumn
from model.image import FullScale
from model.manifest_schema import Members, upgraded
from model.preprocessing import Resizing
from model.tiles import Frame, check_frame
from model.trunk_choice import TrunkChoice
from model.verdict import Calibration, Thresholds

MAX_LOG_ODDS_CHANGE: Final = 0.1
MAX_CHANGED_VERDICTS: Final = 0.005
MAX_AUROC_LOSS: Final = 0.002
"""Limits within which a variant agrees with float32 and serves by default: log-odds, share of verdicts, AUROC."""

Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
EngineName = Literal["torch", "onnxruntime"]
VariantName = Literal["float32", "float16", "int8", "cascade"]


@dataclass(frozen=True)
class Decoding:
    """The libraries that decoded the training images."""

    libraries: dict[str, str]
    """Versions by name."""
    pixels_sha256: Digest
    """SHA-256 of the pixels that fixed images are decoded to (`model.decoding_probes`)."""


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the network's input (`model.preprocessing.Resizing`), and what decoded those of training."""

    input_size: Annotated[int, msgspec.Meta(ge=32, le=4096, multiple_of=16)]
    """Side S of the network's square input, in pixels."""
    full_scale: FullScale | None
    """The value that is white in 16-bit gray images; None where the training data had none."""
    reduced_decoding: bool
    """Whether large images are reduced while they are decoded."""
    decoding: Decoding
    frame: Frame | None = None
    """What images are scaled to before they are cut into tiles of the input's size; None: to one tile, whatever their
    aspect."""
    roi: str | None = None
    """File of the region of interest, as large as a frame; None: all of an image counts."""

    def __post_init__(self) -> None:
        if self.frame:
            check_frame(self.frame, self.input_size)
            if self.frame.scale is not None and self.roi is not None:
                raise ValueError("a frame with a scale for images of other sizes can't have a region of interest")

    @property
    def resizing(self) -> Resizing:
        return Resizing(self.input_size, self.full_scale, self.reduced_decoding, self.frame)


@dataclass(frozen=True)
class Golden:
    """What the network made of the golden images at export, by file name, and how far it may be off. The last of them
    is a black frame, which the gate stops."""

    tolerance: Annotated[float, msgspec.Meta(gt=0)]
    log_odds: Annotated[dict[str, float], msgspec.Meta(min_length=1)]
    distances: dict[str, Annotated[float, msgspec.Meta(ge=0)]] = field(default_factory=dict)
    """Value of the gate's check `appearance` at export, of the same images; none where there is no gate."""
    distance_tolerance: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """How far those may be off, as a share of the value."""


@dataclass(frozen=True)
class Agreement:
    """How far a variant's calibrated verdicts are from float32's, over all images of the data set.

    The exported network has learnt from these images, so this is a difference and no accuracy.
    """

    images: Annotated[int, msgspec.Meta(ge=1)]
    median_log_odds_change: Amount
    """Median absolute difference of the calibrated log-odds."""
    changed_verdicts: Count
    """Images whose label, decision or inspectability differs."""
    auroc_change: float | None
    """The variant's AUROC minus float32's; None: the data has one class."""

    @property
    def violations(self) -> list[str]:
        """Limits that the variant exceeds, in words; it serves by default where there are none."""
        most = max(1, int(MAX_CHANGED_VERDICTS * self.images))
        found = []
        if self.median_log_odds_change > MAX_LOG_ODDS_CHANGE:
            change = f"{self.median_log_odds_change:.3g}"
            found.append(f"its log-odds differ by {change} in the median (at most {MAX_LOG_ODDS_CHANGE:g})")
        if self.changed_verdicts > most:
            found.append(f"{self.changed_verdicts} of {self.images} verdicts differ (at most {most})")
        if self.auroc_change is not None and self.auroc_change < -MAX_AUROC_LOSS:
            found.append(f"its AUROC is lower by {-self.auroc_change:.3g} (at most {MAX_AUROC_LOSS:g})")
        return found


@dataclass(frozen=True)
class Cascade:
    """A narrow network before the variant's own, the full one: it clears good images of which it is sure, and the full
    one decides on all others (Viola & Jones 2001, section 4)."""

    files: Annotated[dict[EngineName, str], msgspec.Meta(min_length=1)]
    """The narrow network's file that each engine opens."""
    share: Annotated[float, msgspec.Meta(gt=0, lt=1)]
    """Share of each layer's channels that it has."""
    slope: Annotated[float, msgspec.Meta(gt=0)]
    offset: float
    """slope·evidence + offset is its evidence on the full network's scale."""
    margin: float
    """Calibrated log-odds by which an image must lie below what is accepted to be cleared."""
    distance_scale: Annotated[float, msgspec.Meta(gt=0)]
    """What distances of its features are divided by to be the full network's."""
    cleared: Share
    """Share of held-out good images that it cleared."""


@dataclass(frozen=True)
class Variant:
    """One numeric form of the network with everything that depends on it."""

    name: VariantName
    files: Annotated[dict[EngineName, str], msgspec.Meta(min_length=1)]
    """The file that each engine opens."""
    calibration: Calibration
    thresholds: Thresholds
    """Probabilities at the operating point's defect rate."""
    heatmap_scale: HeatmapScale
    golden: Golden
    figures: Figures | None
    """None: this variant was not measured by itself."""
    agreement: Agreement | None = None
    """Agreement with float32; None: it is float32, or was not compared."""
    distance_scale: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """What the distance of `model.appearance` is divided by, so that float32's limits hold."""
    cascade: Cascade | None = None
    """Of the variant cascade alone."""

    def __post_init__(self) -> None:
        if (self.name == "cascade") != (self.cascade is not None):
            raise ValueError("the variant cascade, and no other, must have a narrow network")
        if self.cascade and self.cascade.files.keys() != self.files.keys():
            raise ValueError("both networks of a cascade must have files for the same engines")

    def files_of(self, engine: EngineName) -> list[str]:
        """Every file that this engine opens."""
        return [self.files[engine]] + ([self.cascade.files[engine]] if self.cascade else [])


@dataclass(frozen=True)
class Data:
    """The images that the version was made from."""

    fingerprint: Digest
    """SHA-256 over every image's content and kind, sorted."""
    images: Annotated[int, msgspec.Meta(ge=1)]
    kinds: dict[str, Count]
    """Images of each kind: good, or a kind of defect."""
    anomalies: Literal["real", "synthetic", "both"]
    """Which anomalies were learnt from."""

    @property
    def defect_rate(self) -> float:
        """The share of anomalies among the images."""
        return 1 - self.kinds.get("good", 0) / self.images


@dataclass(frozen=True)
class OperatingPoint:
    """What the thresholds were chosen for."""

    rule: dict[str, Any]
    """The rule's name and parameters (`training.evaluation.thresholds`)."""
    summary: str
    """The rule in words, and its errors on held-out images."""
    defect_rate: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None
    """The production line's defect rate, at which the thresholds hold; None: the calibration's."""
    prior_invariant: bool
    """Whether another defect rate leaves the verdicts as they are and moves the thresholds, or the other way round."""
    fingerprint: Digest | None = None
    """Fingerprint of the images that calibration and thresholds were fitted on; None: that of `Manifest.data`."""


@dataclass(frozen=True)
class Manifest:
    """The whole file. Unknown members are ignored, so that members can be added under the same schema number."""

    schema: Literal[4]
    classes: tuple[Literal["good"], Literal["anomaly"]]
    preprocessing: Preprocessing
    network: Hypercolumn
    pooling: Pooling
    operating_point: OperatingPoint
    gate: Gate | None
    """None: a version of release 0.1, of which every image can be inspected."""
    variants: Annotated[list[Variant], msgspec.Meta(min_length=1)]
    data: Data
    trunk_sha256: Digest
    """SHA-256 of the 13 ImageNet layers that training began with (see `model.weights.trunk_digest`)."""
    files: dict[str, Digest]
    """SHA-256 of every file that serving reads, by its path within the version."""
    created: str
    """ISO 8601, UTC."""
    command: str
    """The command line that made the version."""
    recipe: dict[str, Any]
    """The preset's configuration (`training.recipe`)."""
    libraries: dict[str, str]
    """Versions of the libraries that made it, by name."""
    head_share: Share = 1.0
    """What heatmaps show of the image head's part of the evidence, all of which the verdict has."""
    trunk_choice: TrunkChoice | None = None
    """Why the network has a narrow trunk or the full one; None: that was not compared."""
    drift: Drift | None = None
    """None: there were no held-out images that charts could rest on."""

    def __post_init__(self) -> None:
        if "float32" not in (names := [variant.name for variant in self.variants]) or len(set(names)) < len(names):
            raise ValueError("variants must be different and float32 among them")
        for golden in (variant.golden for variant in self.variants):
            if golden.distances.keys() != (golden.log_odds.keys() if self.gate else set()):
                raise ValueError("golden images must have both log-odds and distances, where there is a gate")

    def variant(self, name: str) -> Variant:
        """The variant of that name. Raises KeyError."""
        return next(variant for variant in self.variants if variant.name == name)

    @property
    def variant_files(self) -> set[str]:
        """Names of the files that the variants need: their engines' and golden images."""
        opened = {name for each in self.variants for engine in each.files for name in each.files_of(engine)}
        return opened | {name for each in self.variants for name in each.golden.log_odds}

    @property
    def figures(self) -> Figures | None:
        """Figures of the float32 network."""
        return self.variant("float32").figures


def encode(manifest: Manifest) -> bytes:
    """manifest.json's bytes, indented for people."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode(data: bytes, source: str = "manifest.json") -> Manifest:
    """Parse manifest.json, also that of the release before. Raises ManifestError or SchemaError, naming `source` and
    the member that is wrong."""
    try:
        return msgspec.convert(upgraded(msgspec.json.decode(utf8(data), type=Members), source), Manifest)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ManifestError(f"{source} can't be read: {error}") from error
