"""A narrow trunk passes where it is shown to lose next to nothing, and only there."""

import numpy as np
import pytest

from model.trunk_choice import TrunkTrial
from training.evaluation.trunk_choice import Verdicts, compare, given_up, is_hopeless, with_unseen_kinds

IS_ANOMALY = np.arange(400) % 2 > 0


def verdicts(*wrong: int, noise: int = 0) -> Verdicts:
    """All right but these; `noise`: the seed of log-odds that rank as well."""
    labels = IS_ANOMALY.copy()
    labels[list(wrong)] ^= True
    return Verdicts(np.where(labels, 3.0, -3.0) + np.random.default_rng(noise).uniform(-1, 1, 400), labels)


def nearly(*wrong: int) -> Verdicts:
    """These labels are wrong, though their log-odds rank as well as the others'."""
    right = verdicts(noise=2)
    labels = IS_ANOMALY.copy()
    labels[list(wrong)] ^= True
    return Verdicts(right.log_odds, labels)


def trial(full: Verdicts, narrow: Verdicts) -> TrunkTrial:
    return compare(0.25, full, narrow, IS_ANOMALY)


def test_it_passes_where_it_does_as_well() -> None:
    found = trial(verdicts(1, 2), verdicts(1, 2, noise=1))
    assert found.passed
    assert found.reason == (
        "its AUROC may be lower by 0.1 points at most, its balanced accuracy by 0.0 points, with 90% certainty; "
        "0 of 400 labels differ"
    )
    assert (found.share, found.images, found.full.errors, found.figures.errors, found.flips) == (0.25, 400, 2, 2, 0)
    assert found.full.balanced_accuracy == pytest.approx(0.995)
    assert found.balanced_accuracy_loss == 0
    assert 0 <= found.auroc_loss < 0.003
    assert found.unseen_kinds == {}


def test_it_fails_where_it_does_worse_or_may() -> None:
    worse = trial(verdicts(), verdicts(1, 3, 5, 7))
    assert not worse.passed
    assert "balanced accuracy may be lower by 1" in worse.reason
    assert "AUROC may be lower" in worse.reason
    assert worse.balanced_accuracy_loss > 0.01
    same_number_elsewhere = trial(verdicts(1, 3, 5), verdicts(7, 9, 11))
    assert same_number_elsewhere.full.errors == same_number_elsewhere.figures.errors
    assert same_number_elsewhere.flips == 6
    assert not same_number_elsewhere.passed


def test_it_passes_where_next_to_no_label_differs() -> None:
    """Whatever the bootstrap says of balanced accuracy: it can't be sure of so few."""
    two = trial(verdicts(noise=1), nearly(1, 3))
    assert (two.passed, two.flips) == (True, 2)
    assert two.balanced_accuracy_loss > 0.003
    three = trial(verdicts(noise=1), nearly(1, 3, 5))
    assert (three.passed, three.flips) == (False, 3)
    assert "(at most 0.3, or 2 labels)" in three.reason
    assert "AUROC" not in three.reason


def test_it_passes_where_it_does_better() -> None:
    better = trial(verdicts(1, 2, 3), verdicts(1))
    assert better.passed
    assert better.balanced_accuracy_loss <= 0


@pytest.mark.parametrize(
    ("wrong", "part", "hopeless"), [((), 0.4, False), ((1,), 0.4, False), ((1, 3, 5, 7, 9, 11), 0.4, True)]
)
def test_it_is_hopeless_where_the_rest_can_not_mend_it(wrong: tuple[int, ...], part: float, hopeless: bool) -> None:
    assert is_hopeless(verdicts(), verdicts(*wrong), IS_ANOMALY, part) is hopeless
    assert not is_hopeless(verdicts(*wrong), verdicts(), IS_ANOMALY, part)


def test_giving_up_says_after_how_much() -> None:
    found = given_up(trial(verdicts(), verdicts(1, 3, 5)), 0.4)
    assert not found.passed
    assert "given up after 40% of the images" in found.reason


def test_a_kind_that_would_be_lost() -> None:
    passed = trial(verdicts(), verdicts())
    assert with_unseen_kinds(passed, {}) == passed
    found = with_unseen_kinds(passed, {"dent": (0.90, 0.895), "spot": (0.8, 0.9)})
    assert (found.passed, found.unseen_kinds["dent"]) == (True, (0.90, 0.895))
    lost = with_unseen_kinds(passed, {"dent": (0.95, 0.945), "spot": (0.9, 0.8)})
    assert (lost.passed, lost.unseen_kinds["spot"]) == (False, (0.9, 0.8))
    assert lost.reason == "where it has not learnt from spot, it finds less of it"
