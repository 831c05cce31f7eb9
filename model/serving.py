"""serving.json: what a person says of one model's serving, beside its versions and at any time."""

from typing import Annotated, Final

import msgspec

from model.errors import ServingError
from model.json_text import without_mark
from model.verdict import Thresholds

SERVING: Final = "serving.json"

_Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Band(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Thresholds with a band of review. All three are needed: half of them would be a slip."""

    review: _Probability
    label: _Probability
    reject: _Probability

    def __post_init__(self) -> None:
        self.thresholds()

    def thresholds(self) -> Thresholds:
        return Thresholds(self.review, self.label, self.reject)


class Serving(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The whole file. What it leaves out is as if there were no file."""

    version: Annotated[int, msgspec.Meta(ge=1, le=999_999_999)] | None = None
    """The version that serves; None: the newest."""
    thresholds: _Probability | Band | None = None
    """In place of the version's, as probabilities at the share of defects in force; one number stands for all three."""
    defect_rate: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None = None
    """The line's share of defects; None: that for which the version was exported."""

    def __str__(self) -> str:
        """In one line."""
        return msgspec.json.encode(self).decode()

    def line_thresholds(self) -> Thresholds | None:
        """`thresholds`, in one form."""
        if isinstance(self.thresholds, Band):
            return self.thresholds.thresholds()
        return None if self.thresholds is None else Thresholds(*[self.thresholds] * 3)


def encode(serving: Serving) -> bytes:
    """serving.json's bytes, indented for people."""
    return msgspec.json.format(msgspec.json.encode(serving), indent=2) + b"\n"


def decode(data: bytes, source: str = SERVING) -> Serving:
    """Raises ServingError, naming `source` and the member that is wrong."""
    try:
        return msgspec.json.decode(without_mark(data), type=Serving)
    except (ValueError, RecursionError) as error:  # of msgspec too
        raise ServingError(f"{source} can't be read: {error}") from error
