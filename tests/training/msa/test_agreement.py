"""Statistics of agreement, against a public worked example and by hand."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pytest

from training.msa import bands
from training.msa.agreement import Agreement, Study, StudyFigures, analyse, kappa

# The attribute agreement example of JASP's Quality Control module (jasp-stats/jaspQualityControl, the raw table in
# tests/testthat/datasets/msaAttributeAgreement/msaAttributeKappa_wide.csv, the figures in tests/testthat/
# test-msaAttribute.R): 15 parts, three appraisers, three trials. y: passed, n: not.
REFERENCE: Final = "y n y y y n y n n y n y y y y"
APPRAISERS: Final = {
    "BL": (
        "y n y y y y n n n y n y y n y",
        "y n y n y y n n n y n y y n y",
        "y n y n y y n n n y n y y n y",
    ),
    "EG": (
        "y n y y y y y n n y n y y n y",
        "y n y n y y y n n y n y y n y",
        "y n y n y y y n n y n y y n y",
    ),
    "MH": (
        "y y y y y y y n y y y y y n y",
        "y y y y y y y n n y n y y n y",
        "y y y y y y y y n y y y y n y",
    ),
}


def study(kinds: str, stations: Mapping[str, Sequence[str]]) -> Study:
    words = {"y": "accept", "n": "reject", "r": "review"}
    decisions = np.array(
        [[[words[mark] for mark in trial.split()] for trial in trials] for trials in stations.values()]
    )
    marks = kinds.split()
    return Study(
        list(stations),
        [str(number + 1) for number in range(decisions.shape[1])],
        [f"part {number + 1}" for number in range(len(marks))],
        ["good" if mark == "y" else "dent" for mark in marks],
        decisions,
        np.arange(decisions.size, dtype=np.float64).reshape(decisions.shape),
    )


@pytest.fixture(scope="module")
def example() -> StudyFigures:
    return analyse(study(REFERENCE, APPRAISERS))


def of(figures: StudyFigures, station: str) -> Agreement:
    return next(each.agreement for each in figures.stations if each.station == station)


@pytest.mark.parametrize(
    ("appraiser", "effectiveness", "escapes", "overkill", "repeated", "with_reference"),
    [
        ("BL", 73.33, 20.0, 26.67, 14, 0.492307692307692),
        ("EG", 80.0, 20.0, 16.67, 14, 0.612903225806452),
        ("MH", 60.0, 66.67, 10.0, 12, 0.264150943396226),
    ],
)
def test_the_published_figures_of_each_appraiser(
    example: StudyFigures,
    appraiser: str,
    effectiveness: float,
    escapes: float,
    overkill: float,
    repeated: int,
    with_reference: float,
) -> None:
    found = of(example, appraiser)
    assert 100 * found.effectiveness.share.value == pytest.approx(effectiveness, abs=0.005)
    assert 100 * found.escapes.share.value == pytest.approx(escapes, abs=0.005)
    assert 100 * found.overkill.share.value == pytest.approx(overkill, abs=0.005)
    assert (found.repeatability.count, found.repeatability.of) == (repeated, 15)
    assert found.kappa_reference == pytest.approx(with_reference, abs=1e-12)


def test_the_published_figures_of_all_appraisers_together(example: StudyFigures) -> None:
    assert (example.overall.effectiveness.count, example.overall.repeatability.count) == (7, 9)
    assert example.overall.kappa_reference == pytest.approx(0.466666666666667, abs=1e-12)
    assert [(part.part, part.repeated) for part in example.parts if part.right] == [
        (f"part {number}", True) for number in (1, 3, 5, 10, 12, 13, 15)
    ]


def test_the_published_bands(example: StudyFigures) -> None:
    shown = {
        name: (
            bands.effectiveness(of(example, name).effectiveness.share.value),
            bands.overkill(of(example, name).overkill.share.value),
            bands.escapes(of(example, name).escapes.share.value),
        )
        for name in APPRAISERS
    }
    assert shown == {
        "BL": ("unacceptable", "unacceptable", "unacceptable"),
        "EG": ("marginal", "unacceptable", "unacceptable"),
        "MH": ("unacceptable", "marginal", "unacceptable"),
    }


def test_between_trials_and_between_stations(example: StudyFigures) -> None:
    """By hand, of BL's first two trials: 14 of 15 agree; 9 passed and then 8, so that of 225 pairs 9·8 + 6·7 agree."""
    (bl,) = [each for each in example.stations if each.station == "BL"]
    chance = (9 * 8 + 6 * 7) / 225
    assert [(pair.one, pair.other) for pair in bl.between_trials] == [("1", "2"), ("1", "3"), ("2", "3")]
    assert bl.between_trials[0].kappa == pytest.approx((14 / 15 - chance) / (1 - chance))
    assert bl.between_trials[2].kappa == 1.0
    assert [(pair.one, pair.other) for pair in example.between_stations] == [("BL", "EG"), ("BL", "MH"), ("EG", "MH")]


def test_an_interval_stands_beside_every_rate(example: StudyFigures) -> None:
    escapes = of(example, "EG").escapes
    assert (escapes.count, escapes.of) == (3, 15)
    assert (round(escapes.share.low, 4), round(escapes.share.high, 4)) == (0.0705, 0.4519)  # Wilson's, by his formula


def test_review_is_neither_right_nor_an_escape_nor_overkill() -> None:
    figures = analyse(study("y y n n", {"a": ("y r r n", "y r r n")}))
    a = figures.overall
    assert (a.effectiveness.count, a.repeatability.count) == (2, 4)
    assert (a.escapes.count, a.overkill.count, a.reviews.count, a.reviews.of) == (0, 0, 4, 8)
    assert a.kappa_reference == pytest.approx((0.5 - 0.25) / 0.75)


def test_kappa_is_not_defined_for_one_decision_alone() -> None:
    assert kappa(["accept", "accept"], ["accept", "accept"]) is None
    assert kappa(["accept", "accept"], ["accept", "reject"]) == 0.0


def test_the_deviation_of_a_part_is_within_a_station() -> None:
    made = study("y n", {"a": ("y n", "y n"), "b": ("y n", "y n")})
    log_odds = np.array([[[0.0, 5.0], [2.0, 5.0]], [[10.0, 5.0], [14.0, 5.0]]])
    figures = analyse(Study(made.stations, made.trials, made.parts, made.kinds, made.decisions, log_odds))
    assert figures.parts[0].log_odds_mean == 6.5
    assert figures.parts[0].log_odds_deviation == pytest.approx(np.sqrt((2.0 + 8.0) / 2))
    assert figures.parts[1].log_odds_deviation == 0.0
