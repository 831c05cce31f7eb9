"""Chooses the images that are worth looking at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from training.evaluation.prediction import Prediction
from training.synthetic.samples import KIND

_SHOWN: Final = 6


@dataclass(frozen=True)
class _Sort:
    """A sort of images, and the words for them."""

    name: str
    title: str
    lead: str
    """A sentence on what the images have in common."""
    none: str
    """The sentence where there are none."""
    belongs: Callable[[Prediction], bool]
    rank: Callable[[Prediction], float]
    """The lowest comes first."""


@dataclass(frozen=True)
class Gallery:
    """The most telling images of a sort, the most telling first."""

    name: str
    title: str
    lead: str
    none: str
    found: int
    """Number of images of the sort, shown or not."""
    shown: list[Prediction]

    @property
    def has_masks(self) -> bool:
        return any(prediction.sample.mask for prediction in self.shown)


def _score(prediction: Prediction) -> float:
    return prediction.log_odds + prediction.shift


_SORTS: Final = (
    _Sort(
        name="misses",
        title="Worst misses",
        lead="Defective parts that were called good, the surest mistake first.",
        none="There is no image of a defective part that was called good.",
        belongs=lambda prediction: prediction.sample.is_anomaly and not prediction.is_correct,
        rank=_score,
    ),
    _Sort(
        name="false-rejects",
        title="Worst false rejects",
        lead="Good parts that were called defective, the surest mistake first. Look whether they really are good.",
        none="No good part was called defective.",
        belongs=lambda prediction: not prediction.sample.is_anomaly and not prediction.is_correct,
        rank=lambda prediction: -_score(prediction),
    ),
    _Sort(
        name="hits",
        title="Most confident hits",
        lead="Defective parts that were found, the surest first. The heatmap should lie on the defect.",
        none="There is no image of a defective part that was found.",
        belongs=lambda prediction: prediction.sample.is_anomaly and prediction.is_correct,
        rank=lambda prediction: -_score(prediction),
    ),
    _Sort(
        name="oddest",
        title="Oddest images",
        lead="Images that look least like the others to the network, whatever their label. Some may not belong in the "
        "data: another product, a part that is cut off.",
        none="It isn't known how the images look to the network.",
        belongs=lambda prediction: prediction.distance > 0,
        rank=lambda prediction: -prediction.distance,
    ),
)


def choose_galleries(predictions: Sequence[Prediction]) -> list[Gallery]:
    """The worst misses, the worst false rejects and the most confident hits, by the label, and the oddest images.

    A synthetic anomaly has no file of its own to be shown: only that of the good image that it was made from.
    """
    real = [prediction for prediction in predictions if prediction.sample.kind != KIND]
    return [_gallery(sort, real) for sort in _SORTS]


def _gallery(sort: _Sort, predictions: Sequence[Prediction]) -> Gallery:
    members = sorted(filter(sort.belongs, predictions), key=lambda each: (sort.rank(each), each.sample.name))
    return Gallery(sort.name, sort.title, sort.lead, sort.none, len(members), members[:_SHOWN])
