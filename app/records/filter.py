"""Conditions on recorded inspections."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Filter:
    """Inspections that satisfy every condition that isn't None."""

    part_id: str | None = None
    model: str | None = None
    version: int | None = None
    decision: str | None = None
    label: str | None = None
    """What a person says that it is."""
    labelled: bool | None = None
    since: int | None = None
    """Milliseconds since 1970; what was received then, or later."""
    until: int | None = None
    """What was received before."""
