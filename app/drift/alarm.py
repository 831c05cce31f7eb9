"""An alarm of drift, in words."""

from typing import Final, Literal

import msgspec

from app.drift.cusum import Cusum, PartReference, RunWithoutReject
from model.drift import Chart, Direction, Quantity

Watched = Quantity | Literal["rejects"]
Change = Direction | Literal["missing"]

_NAMES: Final[dict[Quantity, str]] = {
    "log_odds": "log-odds of accepted parts",
    "appearance": "distance of images' appearance",
    "brightness": "brightness of images",
    "sharpness": "sharpness of images",
}


class Alarm(msgspec.Struct, frozen=True):
    """Stands until it is acknowledged."""

    quantity: Watched
    change: Change
    version: int
    at: float
    """When it was given, in seconds since the epoch."""
    since: PartReference
    """The first part since the change, as far as the sum tells."""
    parts: int
    """From that one on."""
    mean: float | None
    """Of the quantity over these parts; None: of the rejects."""
    text: str

    @property
    def key(self) -> tuple[Watched, Change]:
        return self.quantity, self.change


def drift_alarm(quantity: Quantity, direction: Direction, chart: Chart, cusum: Cusum, version: int, at: float) -> Alarm:
    """What changed, by how much, and since which part."""
    assert cusum.since is not None
    mean = cusum.total / cusum.parts
    deviations = abs(mean - chart.median) / chart.deviation
    risen, above = ("risen", "above") if mean > chart.median else ("fallen", "below")
    text = (
        f"the {_NAMES[quantity]} {'have' if quantity == 'log_odds' else 'has'} {risen}: {mean:.3g} on average over the "
        f"last {cusum.parts} parts, {deviations:.1f} standard deviations {above} the {chart.median:.3g} of held-out "
        f"good images; since {cusum.since}"
    )
    return Alarm(quantity, direction, version, at, cusum.since, cusum.parts, mean, text)


def rejects_alarm(run: RunWithoutReject, defect_rate: float, probability: float, version: int, at: float) -> Alarm:
    """`probability`: of a part to be rejected, by the defect rate and the share of defects that are."""
    assert run.since is not None
    text = (
        f"none of the last {run.parts} parts was rejected, although at a defect rate of {100 * defect_rate:.3g} % one "
        f"in {1 / probability:.0f} should have been; since {run.since}"
    )
    return Alarm("rejects", "missing", version, at, run.since, run.parts, None, text)
