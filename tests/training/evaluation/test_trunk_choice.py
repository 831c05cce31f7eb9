"""The narrow trunk is taken where it is shown to lose next to nothing, and only there."""

import numpy as np
import pytest

from training.evaluation.trunk_choice import Verdicts, choose_trunk, give_up, is_hopeless, worst_unseen_kind

IS_ANOMALY = np.arange(400) % 2 > 0


def verdicts(*wrong: int, noise: int = 0) -> Verdicts:
    """All right but these; `noise`: the seed of log-odds that rank as well."""
    labels = IS_ANOMALY.copy()
    labels[list(wrong)] ^= True
    return Verdicts(np.where(labels, 3.0, -3.0) + np.random.default_rng(noise).uniform(-1, 1, 400), labels)


def test_narrow_where_it_does_as_well() -> None:
    choice = choose_trunk(verdicts(1, 2), verdicts(1, 2, noise=1), IS_ANOMALY)
    assert choice.trunk == "narrow"
    assert choice.reason == (
        "the narrow trunk's AUROC and balanced accuracy are lower by 0.3 points at most, with 90% certainty"
    )
    assert (choice.images, choice.full.errors, choice.narrow.errors) == (400, 2, 2)
    assert choice.full.balanced_accuracy == pytest.approx(0.995)
    assert choice.unseen_kinds == {}


def test_full_where_it_does_worse_or_may() -> None:
    worse = choose_trunk(verdicts(), verdicts(1, 3, 5, 7), IS_ANOMALY)
    assert worse.trunk == "full"
    assert "balanced accuracy may be lower by 1" in worse.reason
    assert "AUROC may be lower" in worse.reason
    same_number_elsewhere = choose_trunk(verdicts(1, 3, 5), verdicts(7, 9, 11), IS_ANOMALY)
    assert same_number_elsewhere.full.errors == same_number_elsewhere.narrow.errors
    assert same_number_elsewhere.trunk == "full"


def test_narrow_where_it_does_better() -> None:
    assert choose_trunk(verdicts(1, 2, 3), verdicts(1), IS_ANOMALY).trunk == "narrow"


@pytest.mark.parametrize(
    ("wrong", "share", "hopeless"), [((), 0.4, False), ((1,), 0.4, False), ((1, 3, 5, 7), 0.4, True)]
)
def test_it_is_hopeless_where_the_rest_can_not_mend_it(wrong: tuple[int, ...], share: float, hopeless: bool) -> None:
    assert is_hopeless(verdicts(), verdicts(*wrong), IS_ANOMALY, share) is hopeless
    assert not is_hopeless(verdicts(*wrong), verdicts(), IS_ANOMALY, share)


def test_giving_up_says_after_how_much() -> None:
    choice = give_up(verdicts(), verdicts(1, 3, 5), IS_ANOMALY, 0.4)
    assert choice.trunk == "full"
    assert "given up after 40% of the images" in choice.reason


def test_the_kind_that_is_lost() -> None:
    assert worst_unseen_kind({}) is None
    assert worst_unseen_kind({"dent": (0.90, 0.895), "spot": (0.8, 0.9)}) is None
    assert worst_unseen_kind({"dent": (0.95, 0.93), "spot": (0.9, 0.8)}) == "spot"
