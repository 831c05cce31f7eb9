"""Statistics of a study: effectiveness, escape and overkill rates, repeatability, Cohen's kappa."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

from model.figures import Estimate
from model.verdict import Decision
from training.data.layout import GOOD
from training.evaluation.intervals import rate


@dataclass(frozen=True, eq=False)
class Study:
    """Decisions on the same parts, each imaged again in every trial of every station."""

    stations: Sequence[str]
    trials: Sequence[str]
    parts: Sequence[str]
    kinds: Sequence[str]
    """The reference of each part: good, or the kind of defect."""
    decisions: NDArray[np.str_]
    """stations × trials × parts, each a `Decision`."""
    log_odds: NDArray[np.float64]
    """The same shape: after calibration, at the defect rate in force."""

    @property
    def expected(self) -> list[Decision]:
        """The right decision on each part: accept or reject."""
        return ["accept" if kind == GOOD else "reject" for kind in self.kinds]


@dataclass(frozen=True)
class Rate:
    """So many of so many, with Wilson's 95 % interval."""

    count: int
    of: int
    share: Estimate


@dataclass(frozen=True)
class Pair:
    """Cohen's kappa of two series of decisions; None: both are one decision throughout, which leaves it undefined."""

    one: str
    other: str
    kappa: float | None


@dataclass(frozen=True)
class Agreement:
    """How a station's decisions agree with the reference and among themselves, or those of all stations together."""

    effectiveness: Rate
    """Parts on which every decision is right: a good part accepted, a defective one rejected."""
    repeatability: Rate
    """Parts on which every decision is the same, right or wrong."""
    escapes: Rate
    """Decisions that accept a defective part."""
    overkill: Rate
    """Decisions that reject a good part."""
    reviews: Rate
    """Decisions that leave a part to a person."""
    kappa_reference: float | None
    """Cohen's kappa of all decisions and the reference."""


@dataclass(frozen=True)
class StationAgreement:
    """One station."""

    station: str
    agreement: Agreement
    between_trials: list[Pair]


@dataclass(frozen=True)
class PartFigures:
    """One part in all its trials."""

    part: str
    kind: str
    decisions: dict[str, list[str]]
    """By station, one for each trial."""
    log_odds_mean: float
    log_odds_deviation: float
    """Standard deviation of repeated images within a station (n − 1), pooled over the stations."""
    repeated: bool
    """Whether every decision is the same."""
    right: bool
    """Whether every decision is right."""


@dataclass(frozen=True)
class StudyFigures:
    """All figures of a study."""

    overall: Agreement
    stations: list[StationAgreement]
    between_stations: list[Pair]
    parts: list[PartFigures]


def analyse(study: Study) -> StudyFigures:
    """Figures of a study of two trials at least, with good parts and defective ones."""
    pooled = [study.decisions[i].ravel() for i in range(len(study.stations))]
    return StudyFigures(
        overall=_agreement(study, study.decisions),
        stations=[_station(study, i) for i in range(len(study.stations))],
        between_stations=_pairs(study.stations, pooled),
        parts=[_part(study, i) for i in range(len(study.parts))],
    )


def kappa(one: Sequence[str] | NDArray[np.str_], other: Sequence[str] | NDArray[np.str_]) -> float | None:
    """Cohen's kappa (1960, equation 1) of two series of decisions; None where chance alone explains all agreement."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of 0/0, which is answered here
        value = float(cohen_kappa_score(list(one), list(other)))
    return None if np.isnan(value) else value


def _station(study: Study, index: int) -> StationAgreement:
    return StationAgreement(
        study.stations[index],
        _agreement(study, study.decisions[index : index + 1]),
        _pairs(study.trials, study.decisions[index]),
    )


def _agreement(study: Study, decisions: NDArray[np.str_]) -> Agreement:
    """`decisions`: stations × trials × parts."""
    expected = np.array(study.expected)
    right = (decisions == expected).all(axis=(0, 1))
    same = (decisions == decisions[:1, :1]).all(axis=(0, 1))
    good, defective = decisions[..., expected == "accept"], decisions[..., expected == "reject"]
    return Agreement(
        effectiveness=_rate(right),
        repeatability=_rate(same),
        escapes=_rate(defective == "accept"),
        overkill=_rate(good == "reject"),
        reviews=_rate(decisions == "review"),
        kappa_reference=kappa(decisions.ravel(), np.broadcast_to(expected, decisions.shape).ravel()),
    )


def _pairs(names: Sequence[str], series: Sequence[NDArray[np.str_]] | NDArray[np.str_]) -> list[Pair]:
    """Kappa of every two of the series."""
    return [Pair(names[i], names[j], kappa(series[i], series[j])) for i, j in combinations(range(len(names)), 2)]


def _part(study: Study, index: int) -> PartFigures:
    decisions, log_odds = study.decisions[..., index], study.log_odds[..., index]
    return PartFigures(
        part=study.parts[index],
        kind=study.kinds[index],
        decisions={name: row.tolist() for name, row in zip(study.stations, decisions, strict=True)},
        log_odds_mean=float(log_odds.mean()),
        log_odds_deviation=float(np.sqrt(log_odds.var(axis=1, ddof=1).mean())),
        repeated=bool((decisions == decisions[0, 0]).all()),
        right=bool((decisions == study.expected[index]).all()),
    )


def _rate(flags: NDArray[np.bool_]) -> Rate:
    count, of = int(flags.sum()), flags.size
    return Rate(count, of, rate(count, of))
