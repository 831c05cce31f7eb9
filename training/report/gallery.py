"""Which images are worth looking at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from training.evaluation.prediction import Prediction
from training.synthetic.samples import KIND

_SHOWN: Final = 6


@dataclass(frozen=True)
class Gallery:
    """The most telling images of a sort, the most telling first."""

    name: str
    title: str
    lead: str
    """What they have in common."""
    none: str
    """What to say where there are none."""
    found: int
    """How many there are in all."""
    shown: list[Prediction]

    @property
    def has_masks(self) -> bool:
        return any(prediction.sample.mask for prediction in self.shown)


def choose_galleries(predictions: Sequence[Prediction]) -> list[Gallery]:
    """The worst misses, the worst false rejects and the most confident hits, by the label.

    A synthetic anomaly has no file of its own to be shown: only that of the good image that it was made from.
    """
    predictions = [prediction for prediction in predictions if prediction.sample.kind != KIND]
    return [
        _gallery(
            predictions,
            lambda p: p.sample.is_anomaly and not p.is_correct,
            lowest_first=True,
            name="misses",
            title="Worst misses",
            lead="Defective parts that were called good, the surest mistake first.",
            none="There is no picture of a defective part that was called good.",
        ),
        _gallery(
            predictions,
            lambda p: not p.sample.is_anomaly and not p.is_correct,
            lowest_first=False,
            name="false-rejects",
            title="Worst false rejects",
            lead="Good parts that were called defective, the surest mistake first. Look whether the label is right.",
            none="No good part was called defective.",
        ),
        _gallery(
            predictions,
            lambda p: p.sample.is_anomaly and p.is_correct,
            lowest_first=False,
            name="hits",
            title="Most confident hits",
            lead="Defective parts that were found, the surest first. The heatmap should lie on the defect.",
            none="There is no picture of a defective part that was found.",
        ),
    ]


def _gallery(
    predictions: Sequence[Prediction],
    belongs: Callable[[Prediction], bool],
    *,
    lowest_first: bool,
    name: str,
    title: str,
    lead: str,
    none: str,
) -> Gallery:
    sign = 1 if lowest_first else -1
    members = sorted(filter(belongs, predictions), key=lambda p: (sign * (p.log_odds + p.shift), p.sample.name))
    return Gallery(name, title, lead, none, len(members), members[:_SHOWN])
