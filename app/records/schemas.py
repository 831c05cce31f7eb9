"""Schemas of recorded inspections, for FastAPI and OpenAPI."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.records.inspection import Recorded, Target
from app.schemas import ImageSize, OddCheck, Timing
from model.regions import Region
from model.verdict import Decision, Label, Thresholds

if TYPE_CHECKING:
    from app.records.audit import Change

KIND: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""A label is a folder's name in training's layout."""
_PLAIN: Final = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"


class RecordedImage(ImageSize):
    """The image that was sent; its size is in pixels, EXIF-transposed."""

    sha256: str | None = Field(description="Of its bytes; null: it was sent as pixels.")
    bytes: int
    kept: bool = Field(description="Whether `/image` and `/overlay` have it.")


class LabelInfo(BaseModel):
    """What a person says that the part is."""

    label: str = Field(description="good, or a kind of defect.")
    by: str | None
    at: datetime
    note: str | None

    @staticmethod
    def of(target: Target) -> "LabelInfo":
        return LabelInfo(label=target.label, by=target.by, at=time_of(target.at), note=target.note)


class InspectionInfo(BaseModel):
    """An inspection in the records."""

    inference_id: str
    received_at: datetime
    request_id: str
    part_id: str | None
    station: str | None
    line: str | None = Field(description="Name of the production line.")
    key: str | None = Field(description="Name of the API key that it was sent with.")
    challenge: str | None = Field(description="What a known part is known to be (X-Challenge); null: of production.")
    model: str
    model_version: int
    variant: str
    label: Label = Field(description="The verdict's. What a person says is `labelled`.")
    decision: Decision
    probability: float = Field(description="Of anomaly.")
    log_odds: float
    inspectable: bool
    odd: list[OddCheck] = Field(description="Why it wasn't inspectable; empty: it was.")
    typicality: float
    thresholds: Thresholds
    defect_rate: float = Field(description="At which the probability holds.")
    serving_sha256: str = Field(description="Of serving.json's content in force; the audit has the content.")
    image: RecordedImage
    regions: list[Region]
    timing_ms: Timing
    labelled: LabelInfo | None

    @staticmethod
    def of(recorded: Recorded) -> "InspectionInfo":
        inspection = recorded.inspection
        origin, basis, verdict, image = inspection.origin, inspection.basis, inspection.verdict, inspection.image
        return InspectionInfo(
            inference_id=inspection.inference_id,
            received_at=time_of(origin.received_at),
            request_id=origin.request_id,
            part_id=origin.part_id,
            station=origin.station,
            line=origin.line,
            key=origin.key,
            challenge=origin.challenge,
            model=basis.model,
            model_version=basis.version,
            variant=basis.variant,
            label=verdict.label,
            decision=verdict.decision,
            probability=verdict.probability,
            log_odds=verdict.log_odds,
            inspectable=inspection.inspectable,
            odd=[OddCheck.of(odd) for odd in inspection.odd],
            typicality=inspection.typicality,
            thresholds=basis.thresholds,
            defect_rate=basis.defect_rate,
            serving_sha256=basis.serving_sha256,
            image=RecordedImage(
                width=image.width,
                height=image.height,
                sha256=image.sha256,
                bytes=image.size,
                kept=recorded.image_path is not None,
            ),
            regions=inspection.regions(),
            timing_ms=Timing(**inspection.timing_ms),
            labelled=LabelInfo.of(recorded.target) if recorded.target else None,
        )


class InspectionPage(BaseModel):
    """Inspections, the newest first."""

    inspections: list[InspectionInfo]
    next: str | None = Field(description="`cursor` of the next page; null: this is the last one.")


class NewLabel(BaseModel):
    """What the part is."""

    model_config = ConfigDict(extra="forbid")

    label: Annotated[str, Field(pattern=KIND)] | None = Field(
        description="good, or a kind of defect, named as a folder; null takes the label back."
    )
    by: Annotated[str, Field(max_length=64, pattern=_PLAIN)] | None = Field(
        None, description="Who says so; without it the name of the API key."
    )
    note: Annotated[str, Field(max_length=1000, pattern=_PLAIN)] | None = None


def time_of(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


class ChangeInfo(BaseModel):
    """A row of the audit."""

    at: datetime
    by: str | None = Field(description="Name of the API key, or the file that was changed; null: no keys are needed.")
    what: Literal["serving", "recipes", "label", "keys"]
    subject: str = Field(description="The model, the inference id, or the file.")
    before: str | None
    after: str | None

    @staticmethod
    def of(change: "Change") -> "ChangeInfo":
        return ChangeInfo(
            at=time_of(change.at),
            by=change.by,
            what=change.what,
            subject=change.subject,
            before=change.before,
            after=change.after,
        )


class AuditPage(BaseModel):
    """Changes, the newest first."""

    changes: list[ChangeInfo]
    next: int | None = Field(description="`cursor` of the next page; null: this is the last one.")
