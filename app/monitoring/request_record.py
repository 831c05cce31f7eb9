"""Record of one request: all that log, metrics, traces, statistics and latency estimate know of it."""

import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

from app.part_id import part_id_text
from model.drift import Quantity
from model.gate import CheckName, Inspectability
from model.verdict import Verdict

StepName = Literal["decode", "queue", "predict", "render"]
Retained = Literal["image", "evidence"]
"""What the inspection records have of an image: itself too, or its evidence map alone."""


@dataclass(frozen=True)
class Step:
    """One step of an image's inspection."""

    name: StepName
    began: float
    """By time.perf_counter."""
    seconds: float
    waited: float = 0.0
    """Seconds of these in which nothing was done for the image: it waited for a codec process or the network."""
    images: float = 1
    """Images that were worked on at once: so many share the seconds. Below 1 where several workers had tiles of one."""

    @property
    def worked(self) -> float:
        """Seconds without those of waiting."""
        return self.seconds - self.waited


@dataclass(frozen=True)
class ImageRecord:
    """One inspected image of a request, and the steps so far. An overlay makes a second step `render`."""

    verdict: Verdict
    steps: list[Step]
    measures: Mapping[Quantity, float] = field(default_factory=dict)
    """What the model's control charts watch."""
    inspectability: Inspectability = field(default_factory=Inspectability)
    inference_id: str | None = None
    """None: there is no reply yet."""
    recorded: Retained | None = None
    """None: nothing, or not yet."""
    tiles: int = 1
    """Of its frame."""
    cleared: bool = False
    """Whether the narrow network of a cascade cleared it."""

    def seconds(self, name: StepName) -> float:
        """Seconds of all steps of that name."""
        return sum(step.seconds for step in self.steps if step.name == name)

    def worked(self, name: StepName) -> float:
        """The same without waiting."""
        return sum(step.worked for step in self.steps if step.name == name)


@dataclass
class RequestRecord:
    """Filled in while the request is worked on."""

    request_id: str
    method: str
    part_id: str | None = None
    """As it was sent: in ASCII, without spaces, and so in the log as well. What it means: app.part_id."""
    traceparent: str | None = None
    key: str | None = None
    """Name of the API key that was shown."""
    route: str = "unknown"
    """The template, never the path that a client made up."""
    status: int = 0
    """Status of the answer that was begun; 0: none."""
    error: str | None = None
    model: str | None = None
    version: int | None = None
    challenge_kind: str | None = None
    """Kind of the live challenge part that the image shows (header X-Challenge)."""
    has_own_thresholds: bool = False
    """Whether its recipe decides otherwise than its model (header X-Recipe)."""
    is_challenge: bool = False
    """Whether its images are no production: they count in no figure of it."""
    images: list[ImageRecord] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)
    received_at: float = field(default_factory=time.time)
    """Seconds since 1970."""
    seconds: float = 0.0
    span: object | None = None
    """The request's span in app.monitoring.tracing."""

    @property
    def part_id_text(self) -> str | None:
        """The part id percent-decoded."""
        return part_id_text(self.part_id) if self.part_id else None

    @property
    def inference_id(self) -> str | None:
        """The native reply's; None also where there are several."""
        return self.images[0].inference_id if len(self.images) == 1 else None

    @property
    def decisions(self) -> list[str]:
        """Decision on each image."""
        return [image.verdict.decision for image in self.images]

    @property
    def odd(self) -> list[CheckName]:
        """Checks by which the gate stopped an image; each once."""
        return list(dict.fromkeys(reason.check for image in self.images for reason in image.inspectability.odd))

    @property
    def steps(self) -> Iterator[Step]:
        """Every step of every image."""
        return (step for image in self.images for step in image.steps)

    def fields(self) -> dict[str, object]:
        """Fields of the log's line; no more of what the client sent than its ids, which are short and plain."""
        decisions = self.decisions
        fields: dict[str, object | None] = {
            "request_id": self.request_id,
            "part_id": self.part_id,
            "key": self.key,
            "method": self.method,
            "route": self.route,
            "status": self.status,
            "error": self.error,
            "model": self.model,
            "version": self.version,
            "challenge": self.challenge_kind,
            "decision": decisions[0] if len(decisions) == 1 else decisions or None,
            "odd": self.odd or None,
            "ms": {name: round(1000 * seconds, 1) for name, seconds in self.times().items()},
        }
        return {name: value for name, value in fields.items() if value is not None}

    def times(self) -> dict[str, float]:
        """Seconds of each step, for the image that took longest in it, and of the whole request: `total`."""
        names = dict.fromkeys(step.name for step in self.steps)
        return {name: max(image.seconds(name) for image in self.images) for name in names} | {"total": self.seconds}


current: ContextVar[RequestRecord | None] = ContextVar("record", default=None)
"""Record of the request that the running task belongs to."""
