from typing import get_args

import pytest

from model.errors import ErrorBoundError
from model.figures import Decisions
from model.verdict import Decision
from training.evaluation.error_bounds import error_rates, max_errors, percent, summary
from training.evaluation.intervals import upper_bound


def decisions(**counts: int) -> list[Decision]:
    return [each for each in get_args(Decision) for _ in range(counts.get(each, 0))]


def test_a_bound_that_takes_more_images_names_their_number() -> None:
    with pytest.raises(ErrorBoundError) as error:
        max_errors(0.001, 109, "miss rate")
    assert str(error.value) == "a miss rate under 0.1 % needs at least 2,995 defects with no miss; you have 109"
    with pytest.raises(
        ErrorBoundError, match=r"false-reject rate under 5 % needs at least 59 good images .* you have 0"
    ):
        max_errors(0.05, 0, "false-reject rate")


@pytest.mark.parametrize("limit", [0.001, 0.01, 0.03, 0.5])
def test_so_many_are_needed_and_suffice(limit: float) -> None:
    least = next(n for n in range(1, 4000) if upper_bound(0, n) <= limit)
    assert max_errors(limit, least, "miss rate") == 0
    with pytest.raises(ErrorBoundError, match=f"at least {least:,} defects .* you have {least - 1:,}"):
        max_errors(limit, least - 1, "miss rate")


@pytest.mark.parametrize(("limit", "images"), [(0.05, 109), (0.1, 242), (0.9, 30), (0.02, 3000)])
def test_the_most_errors_are_the_last_that_keep_the_bound(limit: float, images: int) -> None:
    most = max_errors(limit, images, "miss rate")
    assert upper_bound(most, images) <= limit < upper_bound(most + 1, images)


def test_error_rates_and_their_summary() -> None:
    found = decisions(accept=3, review=6, reject=100) + decisions(reject=2, review=8, accept=232)
    result = error_rates(found, [True] * 109 + [False] * 242)
    assert (result.defects, result.goods) == (Decisions(3, 6, 100), Decisions(232, 8, 2))
    assert result.miss_bound == pytest.approx(0.0696, abs=1e-4)
    assert summary(result) == (
        "3 of 109 defects missed (0.9–7.8 %), 2 of 242 good parts rejected (0.2–3.0 %), 6 defects and 8 good parts to "
        "review. With 95 % confidence at most 7.0 % of defects are missed, and at most 2.6 % of good parts rejected."
    )


def test_without_a_band_review_is_not_mentioned() -> None:
    result = error_rates(["reject", "accept"], [True, False])
    assert (result.miss_rate.value, result.false_reject_rate.value) == (0.0, 0.0)
    assert "review" not in summary(result)


def test_a_class_without_images_bounds_nothing() -> None:
    result = error_rates(["accept"], [False])
    assert (result.miss_bound, result.false_reject_bound) == (1.0, pytest.approx(0.95))


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [(0.001, None, "0.1 %"), (0.07, None, "7 %"), (0.0696, 1, "7.0 %"), (0.07001, 1, "7.1 %"), (0.07, 1, "7.0 %")],
)
def test_bounds_are_rounded_up(share: float, digits: int | None, text: str) -> None:
    assert percent(share, digits) == text
