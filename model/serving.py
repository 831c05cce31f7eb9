"""serving.json: which version of a model serves, and how, set by a person beside its versions and at any time."""

from typing import Annotated, Final, Literal

import msgspec

from model.errors import ServingError
from model.files import utf8
from model.gate import CheckName, OpenLimits, check_limits
from model.verdict import Thresholds

SERVING: Final = "serving.json"

Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]


class ThresholdBand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Thresholds with a review band. All three are needed: half of them would be a slip."""

    review: Probability
    label: Probability
    reject: Probability

    def __post_init__(self) -> None:
        self.thresholds()

    def thresholds(self) -> Thresholds:
        return Thresholds(self.review, self.label, self.reject)


class Serving(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The whole file. A member that it leaves out has its default, as if there were no file."""

    version: Annotated[int, msgspec.Meta(ge=1, le=999_999_999)] | None = None
    """The version that serves; None: the newest."""
    thresholds: Probability | ThresholdBand | None = None
    """Probabilities at the defect rate in force, in place of the version's; one number stands for all three."""
    defect_rate: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None = None
    """The production line's defect rate; None: that for which the version was exported."""
    checks: dict[CheckName, Literal["off"] | OpenLimits] = {}
    """Limits in place of the version's, by check; "off": it isn't made."""

    resident: bool = False
    """Whether it stays in memory where the service's models may not all do (--models-max-bytes)."""

    def __post_init__(self) -> None:
        for name, limits in self.checks.items():
            if limits != "off":
                check_limits(name, limits)

    def __str__(self) -> str:
        """Compact JSON."""
        return msgspec.json.encode(self).decode()

    def line_thresholds(self) -> Thresholds | None:
        """`thresholds`, whichever way they are written; None: the version's."""
        return line_thresholds(self.thresholds)


def line_thresholds(written: float | ThresholdBand | None) -> Thresholds | None:
    """Thresholds, whichever way they are written."""
    if isinstance(written, ThresholdBand):
        return written.thresholds()
    return None if written is None else Thresholds(*[written] * 3)


def encode(serving: Serving) -> bytes:
    """serving.json's bytes, indented for people."""
    return msgspec.json.format(msgspec.json.encode(serving), indent=2) + b"\n"


def decode(data: bytes, source: str = SERVING) -> Serving:
    """Parse serving.json. Raises ServingError, naming `source` and the member that is wrong."""
    try:
        return msgspec.json.decode(utf8(data), type=Serving)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ServingError(f"{source} can't be read: {error}") from error
