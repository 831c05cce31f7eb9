"""The gate: whether an image can be inspected at all, before anybody acts on what the network makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal, get_args

import msgspec

from model.figures import Estimate, Share
from model.verdict import Decision

CheckName = Literal["size", "aspect", "colour", "brightness", "contrast", "clipped", "sharpness", "appearance"]
CHECKS: Final[tuple[CheckName, ...]] = get_args(CheckName)

WATCHED: Final[tuple[Literal["appearance", "brightness", "sharpness"], ...]] = ("appearance", "brightness", "sharpness")
"""Checks whose values control charts watch (`model.drift`)."""
Limits = tuple[float, float]
"""The least and the greatest value that isn't odd."""
OpenLimits = tuple[float | None, float | None]
"""The same; None: there is no limit on that side."""


@dataclass(frozen=True)
class Gate:
    """Limits of each check, from held-out images, good and defective: a defect isn't odd."""

    odd_rate: Annotated[float, msgspec.Meta(gt=0, lt=1)]
    """Share of ordinary images that may be called odd, as it was asked for."""
    odd_bound: Share
    """The share that so many images can vouch for: the conformal rank of the limits, of the class that has fewer."""
    images: Annotated[int, msgspec.Meta(ge=1)]
    """Held-out images that the limits come from."""
    good_odd: Estimate | None
    """Share of held-out good images outside the limits; None: there are none."""
    defects_odd: Estimate | None
    """Share of held-out defective ones."""
    summary: str
    """The rule in words, and what it reached."""
    limits: dict[CheckName, Limits]
    """Of each check's value (`model.image_measures`, `model.appearance`)."""

    def __post_init__(self) -> None:
        if missing := [name for name in CHECKS if name not in self.limits]:
            raise ValueError(f"limits lack {', '.join(missing)}")
        for name, limits in self.limits.items():
            check_limits(name, limits)


@dataclass(frozen=True)
class Odd:
    """A reason why an image can't be inspected: a check whose value lies outside its limits."""

    check: CheckName
    value: float
    limit: OpenLimits


@dataclass(frozen=True)
class Inspectability:
    """What the gate found of one image."""

    odd: tuple[Odd, ...] = ()
    """The reasons why it can't be inspected, in the order of CHECKS; none: it can."""
    typicality: float = 1.0
    """Conformal p-value of its appearance: the share of held-out images that look no more like the others."""
    measures: Mapping[str, float] = field(default_factory=dict)
    """Every check's value, also of those that are switched off."""

    @property
    def inspectable(self) -> bool:
        return not self.odd

    def decision(self, decision: Decision) -> Decision:
        """Never accept and never reject for what can't be inspected, whatever the thresholds."""
        return decision if self.inspectable else "review"


def check_limits(name: str, limits: OpenLimits) -> None:
    """Raise ValueError unless the limits of the check `name` are in order."""
    low, high = limits
    if low is not None and high is not None and not low <= high:
        raise ValueError(f"limits of {name} must not descend: {low:g}, {high:g}")


def odd_checks(measures: Mapping[str, float], limits: Mapping[CheckName, OpenLimits]) -> tuple[Odd, ...]:
    """The checks whose value lies outside. What wasn't measured isn't checked; NaN lies outside."""
    return tuple(
        Odd(name, measures[name], limits[name])
        for name in CHECKS
        if name in limits and name in measures and not _inside(measures[name], limits[name])
    )


def _inside(value: float, limits: OpenLimits) -> bool:
    low, high = limits
    return (low is None or value >= low) and (high is None or value <= high)
