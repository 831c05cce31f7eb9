"""What is said beside figures that must not be trusted yet."""

from tests.training.predictions import prediction
from training.evaluation.data_warnings import data_warnings
from training.evaluation.figures import measure


def test_what_must_be_known_first_is_said() -> None:
    sure = measure([prediction("good", 0.1)] * 300 + [prediction("dent", 0.9)] * 300, "many")
    assert data_warnings(sure, synthetic=False) == []
    thin = measure([prediction("good", 0.1)] * 12 + [prediction("dent", 0.9)] * 5, "few")
    (warning,) = data_warnings(thin, synthetic=False)
    assert warning.startswith("too few images to trust: balanced accuracy may be anything from ")
    assert "5 defects and 12 good images" in warning
    assert "no real defect was used" in data_warnings(sure, synthetic=True)[0]
    assert len(data_warnings(thin, synthetic=True)) == 2


def test_a_rule_that_so_few_good_images_cannot_meet_is_named() -> None:
    """Platt's smoothed targets: one in fourteen for twelve good images."""
    good, bad = [prediction("good", 0.1, 0.09)] * 12, [prediction("dent", 0.9, 0.09)] * 10
    assert (
        "12 of 12 good parts are rejected although they are ranked well"
        in data_warnings(measure(good + bad, "few"), synthetic=False)[-1]
    )
    mixed = [prediction("good", p, 0.09) for p in (0.05, 0.95)] * 6
    assert not any("ranked well" in each for each in data_warnings(measure(mixed + bad, "bad"), synthetic=False))
