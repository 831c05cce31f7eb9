"""Schemas of the native API's replies, for FastAPI and OpenAPI."""

import base64
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from app.models.model_snapshot import KnownModel, LoadedModel, ModelSnapshot, ModelState
from app.records.inspection import Inspection
from model.evidence import HeatmapScale
from model.figures import Figures
from model.gate import CheckName, Gate, Odd, OpenLimits
from model.manifest import Agreement, OperatingPoint
from model.regions import Region
from model.terms import Terms
from model.tiles import Frame
from model.verdict import Decision, Label, Thresholds


class ImageSize(BaseModel):
    """Size of the image that was sent, EXIF-transposed, in pixels."""

    width: int
    height: int


class Timing(BaseModel):
    """Milliseconds of each step; predict is the network, for the whole batch that the image was in."""

    decode: float
    queue: float
    predict: float
    render: float


class OddCheck(BaseModel):
    """A reason why an image can't be inspected."""

    check: CheckName
    value: float
    limit: OpenLimits = Field(description="Least and greatest value that isn't odd; null: serving.json opened it.")

    @staticmethod
    def of(odd: Odd) -> "OddCheck":
        return OddCheck(check=odd.check, value=odd.value, limit=odd.limit)


class Prediction(BaseModel):
    """The verdict on one image."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "label": "anomaly",
                    "probability": 0.97,
                    "heatmap": "iVBORw0KGgo…",
                    "decision": "reject",
                    "inspectable": True,
                    "odd": [],
                    "typicality": 0.41,
                    "log_odds": 3.48,
                    "thresholds": {"review": 0.3, "label": 0.42, "reject": 0.6},
                    "model": "capsule",
                    "model_version": 3,
                    "inference_id": "0f9c4c5e6b5d4f0c8d5a7a6f0b1e2d3c",
                    "part_id": "part 4711",
                    "image": {"width": 1000, "height": 1000},
                    "regions": [
                        {
                            "box": {"left": 312, "top": 500, "width": 62, "height": 125},
                            "area_percent": 0.6,
                            "score": 0.93,
                        }
                    ],
                    "timing_ms": {"decode": 9.1, "queue": 0.2, "predict": 80.4, "render": 1.3},
                },
                {
                    "label": "good",
                    "probability": 0.003,
                    "heatmap": None,
                    "decision": "review",
                    "inspectable": False,
                    "odd": [{"check": "sharpness", "value": 0.11, "limit": [0.24, 0.61]}],
                    "typicality": 0.003,
                    "log_odds": -5.8,
                    "thresholds": {"review": 0.3, "label": 0.42, "reject": 0.6},
                    "model": "capsule",
                    "model_version": 3,
                    "inference_id": "5b1f0c7e9a4d4c2f8e6a7d3b2c1e0f9a",
                    "part_id": None,
                    "image": {"width": 1000, "height": 1000},
                    "regions": [],
                    "timing_ms": {"decode": 9.0, "queue": 0.1, "predict": 80.9, "render": 0.4},
                },
            ]
        }
    )

    label: Label
    probability: float = Field(description="**Of anomaly, always**, whatever the label says.")
    heatmap: str | None = Field(
        description="Base64 PNG: map or gray (round(255·value), a pixel a patch or input size), or overlay; null: none."
    )
    decision: Decision = Field(
        description="What a line acts on: accept below thresholds.review, reject from .reject on. **Whatever isn't "
        "accept must not pass as good**: review too, which is always given where the image isn't inspectable."
    )
    inspectable: bool = Field(
        description="Whether the gate let the image pass; if not, label and probability say little of the part."
    )
    odd: list[OddCheck] = Field(description="Why it isn't inspectable; empty: it is.")
    typicality: float = Field(
        description="Conformal p-value of the image's appearance: the share of held-out images as unlike the others."
    )
    log_odds: float = Field(description="After calibration: its sigmoid is the probability.")
    thresholds: Thresholds
    model: str
    model_version: int
    inference_id: str = Field(description="New for every verdict.")
    part_id: str | None = Field(description="The request's X-Part-ID, percent-decoded; null: it had none.")
    image: ImageSize
    regions: list[Region] = Field(description="One box per defect, in pixels of the image that was sent; best first.")
    timing_ms: Timing

    @staticmethod
    def of(inspection: Inspection, png: bytes | None, *, regions: bool) -> "Prediction":
        """`png`: the heatmap or the overlay, where one is wanted."""
        verdict, basis, image = inspection.verdict, inspection.basis, inspection.image
        return Prediction(
            label=verdict.label,
            probability=verdict.probability,
            heatmap=base64.b64encode(png).decode() if png else None,
            decision=verdict.decision,
            inspectable=inspection.inspectable,
            odd=[OddCheck.of(odd) for odd in inspection.odd],
            typicality=inspection.typicality,
            log_odds=verdict.log_odds,
            thresholds=basis.thresholds,
            model=basis.model,
            model_version=basis.version,
            inference_id=inspection.inference_id,
            part_id=inspection.origin.part_id,
            image=ImageSize(width=image.width, height=image.height),
            regions=inspection.regions() if regions else [],
            timing_ms=Timing(**inspection.timing_ms),
        )


class VersionInfo(BaseModel):
    """A version that can answer."""

    version: int
    loaded: bool = Field(description="Whether it is in memory; if not, it is loaded when it is asked for.")
    created: str
    input_size: int = Field(
        description="Side in pixels of the network's square input: a whole image, or one tile of a frame."
    )
    frame: Frame | None = Field(
        description="What images are scaled to before they are cut into tiles; null: every image is resized to one."
    )
    roi: bool = Field(description="Whether a region of interest is fixed; …/versions/N/roi.png shows it.")
    engine: str
    variant: str = Field(description="Numeric form of the network that serves.")
    agreement: Agreement | None = Field(description="Of that variant with float32; null for float32 itself.")
    skipped_variants: dict[str, str] = Field(description="Why faster variants don't serve, by name.")
    decoding_difference: str | None = Field(
        description="How images are decoded otherwise here than in training; null: they aren't, or it isn't known."
    )
    device: str
    thresholds: Thresholds = Field(description="In force, as probabilities at `defect_rate`.")
    thresholds_source: Literal["serving.json", "version"]
    heatmap_scale: HeatmapScale = Field(
        description="Evidence that the heatmap shows as 0.018 and as 0.5, less what it doesn't show of the image head."
    )
    data_defect_rate: float = Field(description="Share of anomalies in the training data.")
    defect_rate: float = Field(description="Share of anomalies at which the probabilities hold.")
    defect_rate_source: Literal["serving.json", "version", "data"] = Field(
        description="version: it was exported for that share. data: nobody named one, "
        "it is that of the images on which the probabilities were calibrated."
    )
    operating_point: OperatingPoint = Field(description="For what the version's own thresholds were chosen.")
    gate: Gate | None = Field(
        description="The version's own limits of what is inspectable, and how they were found; null: a version of "
        "release 0.1, which has none."
    )
    checks: dict[CheckName, OpenLimits] = Field(description="Limits in force, of the checks that are made.")
    checks_changed: list[CheckName] = Field(description="Checks that serving.json moves or switches off.")
    figures: Figures | None = Field(
        description="What was measured on images unseen by the measured model, at the version's own thresholds."
    )

    @staticmethod
    def of(known: KnownModel) -> "VersionInfo":
        terms = known.terms
        return VersionInfo(
            version=known.version,
            loaded=isinstance(known, LoadedModel),
            created=terms.manifest.created,
            input_size=terms.input_size,
            frame=terms.manifest.preprocessing.frame,
            roi=terms.manifest.preprocessing.roi is not None,
            engine=known.engine,
            variant=terms.variant.name,
            agreement=terms.variant.agreement,
            skipped_variants=dict(terms.skipped_variants),
            decoding_difference=terms.decoding_difference,
            device=known.device,
            thresholds=terms.thresholds,
            thresholds_source="version" if terms.line_thresholds is None else "serving.json",
            heatmap_scale=terms.variant.heatmap_scale,
            data_defect_rate=terms.manifest.data.defect_rate,
            defect_rate=terms.defect_rate,
            defect_rate_source=_rate_source(terms),
            operating_point=terms.manifest.operating_point,
            gate=terms.manifest.gate,
            checks=terms.limits,
            checks_changed=list(terms.line_checks),
            figures=terms.variant.figures or terms.manifest.figures,
        )


class RefusedVersion(BaseModel):
    """A version in the store that can't be used, and why."""

    version: int
    reason: str


class ModelInfo(BaseModel):
    """One model of the store."""

    name: str
    serving: int | None = Field(
        description="The version that answers where none is named: the pinned one, else the newest that can."
    )
    pinned: int | None = Field(description="The version that the model's serving.json names, where that is in force.")
    serving_config: dict[str, Any] = Field(description="The content of serving.json that is in force.")
    serving_error: str | None = Field(description="Why the present serving.json isn't in force; null: it is.")
    versions: list[VersionInfo] = Field(description="The versions that can answer, newest first.")
    refused: list[RefusedVersion]
    available: list[int] = Field(description="Every version in the store.")

    @staticmethod
    def of(name: str, model: ModelState) -> "ModelInfo":
        return ModelInfo(
            name=name,
            serving=model.serving.version if model.serving else None,
            pinned=model.serving_config.version,
            serving_config=msgspec.to_builtins(model.serving_config),
            serving_error=model.serving_error or None,
            versions=[VersionInfo.of(model.known[number]) for number in sorted(model.known)[::-1]],
            refused=[RefusedVersion(version=number, reason=why) for number, why in sorted(model.refused.items())],
            available=list(model.available),
        )


class ModelList(BaseModel):
    """Every model of the store."""

    models: list[ModelInfo]

    @staticmethod
    def of(snapshot: ModelSnapshot) -> "ModelList":
        return ModelList(models=[ModelInfo.of(name, model) for name, model in snapshot.models.items()])


class Change(BaseModel):
    """Difference for one model between before and after a reload."""

    model: str
    previous: int | None = Field(description="The version that served before.")
    serving: int | None
    loaded: list[int] = Field(description="Versions that are loaded now, and weren't before.")
    released: list[int] = Field(description="Versions that were loaded before, and aren't now.")
    refused: list[RefusedVersion] = Field(description="Versions refused now, and not before.")
    serving_error: str | None = Field(description="As in the model's information.")

    @staticmethod
    def between(before: ModelSnapshot, after: ModelSnapshot) -> list["Change"]:
        """Changes of all models; those without any are left out."""
        names = sorted(before.models.keys() | after.models.keys())
        pairs = [(name, before.models.get(name, ModelState()), after.models.get(name, ModelState())) for name in names]
        return [Change._of(name, old, new) for name, old, new in pairs if old != new]

    @staticmethod
    def _of(name: str, old: ModelState, new: ModelState) -> "Change":
        return Change(
            model=name,
            previous=old.serving.version if old.serving else None,
            serving=new.serving.version if new.serving else None,
            loaded=sorted(new.known.keys() - old.known.keys()),
            released=sorted(old.known.keys() - new.known.keys()),
            refused=[
                RefusedVersion(version=number, reason=why)
                for number, why in sorted(new.refused.items() - old.refused.items())
            ],
            serving_error=new.serving_error or None,
        )


class Reloaded(BaseModel):
    """Changes made by a reload of the store."""

    changed: list[Change]


class Health(BaseModel):
    """Reply when all is well; otherwise a problem names the reasons."""

    status: str


def _rate_source(terms: Terms) -> Literal["serving.json", "version", "data"]:
    if terms.line_rate is not None:
        return "serving.json"
    return "data" if terms.manifest.operating_point.defect_rate is None else "version"
