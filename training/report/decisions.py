"""Summary of a model's decisions: its thresholds, what they decide, and what that means on the production line."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from model.figures import Decisions, Estimate, Figures
from training.evaluation.intervals import rate
from training.evaluation.prediction import Prediction


@dataclass(frozen=True)
class ThresholdRange:
    """One threshold, as a probability: the median over the images, and its extremes, as folds choose their own."""

    value: float
    low: float
    high: float

    @property
    def varies(self) -> bool:
        return self.low < self.high


@dataclass(frozen=True)
class Fold:
    """Errors of one fold's model on its images."""

    number: int
    defects: int
    missed: int
    goods: int
    rejected: int
    threshold: float
    """Probability from which it rejects."""


@dataclass(frozen=True)
class Expectation:
    """Expected counts of 100,000 parts on the production line."""

    defects: float
    missed: Estimate
    """Counts, not shares."""
    rejected: Estimate
    review: float
    precision: Estimate | None
    """Share of rejected parts that are defective, as uncertain as `rejected`; None where nothing is rejected."""


@dataclass(frozen=True)
class DecisionSummary:
    """A miss is a defect accepted, a false reject a good part rejected; neither counts what goes to review."""

    accept_below: ThresholdRange
    reject_from: ThresholdRange
    label_from: ThresholdRange
    goods: Decisions
    defects: Decisions
    missed: Estimate
    rejected: Estimate
    folds: list[Fold]
    """Empty where one model decided everything."""
    expectation: Expectation | None
    """None: the production line's defect rate is not known."""

    @property
    def has_review(self) -> bool:
        return self.accept_below.value < self.reject_from.value

    @property
    def reviewed(self) -> float:
        """Share of the images that went to review."""
        return (self.goods.review + self.defects.review) / (self.goods.images + self.defects.images)


def summarise_decisions(
    predictions: Sequence[Prediction], figures: Figures, defect_rate: float | None
) -> DecisionSummary:
    """The predictions' thresholds, and what the decisions counted in `figures` come to."""
    goods, defects = figures.good_decisions, figures.defect_decisions
    missed, rejected = rate(defects.accept, defects.images), rate(goods.reject, goods.images)
    return DecisionSummary(
        accept_below=_range([prediction.thresholds.review for prediction in predictions]),
        reject_from=_range([prediction.thresholds.reject for prediction in predictions]),
        label_from=_range([prediction.thresholds.label for prediction in predictions]),
        goods=goods,
        defects=defects,
        missed=missed,
        rejected=rejected,
        folds=_folds(predictions),
        expectation=None if defect_rate is None else _expect(goods, defects, missed, rejected, defect_rate),
    )


def _range(values: Sequence[float]) -> ThresholdRange:
    return ThresholdRange(median(values), min(values), max(values))


def _folds(predictions: Sequence[Prediction]) -> list[Fold]:
    numbers = sorted({prediction.fold for prediction in predictions})
    return [_fold(number, [p for p in predictions if p.fold == number]) for number in numbers if len(numbers) > 1]


def _fold(number: int, members: Sequence[Prediction]) -> Fold:
    defects = [p.decision for p in members if p.sample.is_anomaly]
    goods = [p.decision for p in members if not p.sample.is_anomaly]
    threshold = median(p.thresholds.reject for p in members)
    return Fold(number, len(defects), defects.count("accept"), len(goods), goods.count("reject"), threshold)


def _expect(
    goods: Decisions, defects: Decisions, missed: Estimate, rejected: Estimate, defect_rate: float
) -> Expectation:
    bad, good = 100_000 * defect_rate, 100_000 * (1.0 - defect_rate)
    hits = bad * defects.reject / defects.images
    alarms = _times(rejected, good)
    return Expectation(
        defects=bad,
        missed=_times(missed, bad),
        rejected=alarms,
        review=bad * defects.review / defects.images + good * goods.review / goods.images,
        precision=Estimate(*(hits / (hits + other) for other in (alarms.value, alarms.high, alarms.low)))
        if hits
        else None,
    )


def _times(share: Estimate, parts: float) -> Estimate:
    return Estimate(share.value * parts, share.low * parts, share.high * parts)
