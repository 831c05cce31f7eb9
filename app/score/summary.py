"""What has come out of a run, in words."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, get_args

from app.score.row import Row
from model.verdict import Decision

_DECISIONS: Final[tuple[Decision, ...]] = get_args(Decision)
_WORK: Final = ("decode", "predict", "render")
"""Steps in which something is done: in the queue an image only waits."""


@dataclass
class Summary:
    """Filled by the rows that pass through `of`, and the times by `time`."""

    decisions: Counter[str] = field(default_factory=Counter)
    odd: Counter[str] = field(default_factory=Counter)
    """Images that fail a check, by check."""
    odd_images: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    milliseconds: Counter[str] = field(default_factory=Counter)
    timed: int = 0
    """Images whose times were added up."""

    def of(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The same rows, which are counted."""
        for row in rows:
            if row.error:
                self.errors[row.error] += 1
            else:
                self.decisions[str(row.decision)] += 1
                self.odd.update(each["check"] for each in row.reply["odd"])
                self.odd_images += not row.reply["inspectable"]
            yield row

    def time(self, timing_ms: Mapping[str, float]) -> None:
        """Add what one image took."""
        self.milliseconds.update(timing_ms)
        self.timed += 1

    def text(self, seconds: float, done: int) -> str:
        """Lines for people: `done` files in `seconds`, by this run."""
        errors, total = self.errors.total(), self.errors.total() + self.decisions.total()
        counts = [f"{self.decisions[name]:,} {name}" for name in _DECISIONS] + [f"{errors:,} without a verdict"]
        lines = [f"{total:,} files: {', '.join(counts)}"]
        if self.odd_images:
            lines.append(f"not inspectable: {self.odd_images:,} ({_counted(self.odd)})")
        if errors:
            lines.append(f"without a verdict: {_counted(self.errors)}")
        if done:
            lines.append(f"{done / max(seconds, 1e-9):.1f} files a second{self._steps()}")
        return "\n".join(lines)

    def _steps(self) -> str:
        if not self.timed:
            return ""
        means = {name: self.milliseconds[name] / self.timed for name in _WORK}
        slowest = max(means, key=lambda name: means[name])
        told = ", ".join(f"{name} {milliseconds:.1f}" for name, milliseconds in means.items())
        return f"; milliseconds an image: {told}; {slowest} is the slowest step"


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counter.most_common())
