import pytest

from model.figures import Estimate
from training.report import words


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (1, "100 %"), (0.0423, "4.2 %"), (0.02, "2 %"), (0.0004, "0.04 %"), (0.9996, "99.96 %")],
)
def test_percent(share: float, text: str) -> None:
    assert plain(words.percent(share)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0909, "0.0909"), (0.5, "0.5"), (0.99962, "0.99962"), (1, "1"), (0, "0"), (0.00001, "0.00001"), (12.5, "12.5")],
)
def test_decimal(value: float, text: str) -> None:
    assert words.decimal(value) == text


@pytest.mark.parametrize(("share", "text"), [(0.033, "3 of 100"), (0.004, "4 of 1,000"), (0.00002, "2 of 100,000")])
def test_out_of(share: float, text: str) -> None:
    assert words.out_of(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.94, "3.9 s"), (59.4, "59 s"), (95, "1 min 35 s"), (3599.6, "1 h 0 min"), (5400, "1 h 30 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert plain(words.duration(seconds)) == text


def test_intervals() -> None:
    estimate = Estimate(0.03, 0.009, 0.078)
    assert plain(words.interval(estimate)) == "0.9–7.8 %"
    assert words.likely(estimate) == " (likely 0.009–0.078)"
    assert words.likely(Estimate(1.0, 1.0, 1.0)) == ""


def test_sentence() -> None:
    assert words.sentence("few images") == "Few images."
    assert words.sentence("Done.") == "Done."
    assert words.sentence("3 % of 5") == "3\N{NO-BREAK SPACE}% of 5."


def test_settings_by_dotted_name() -> None:
    assert words.settings({"name": "own", "pooling": {"kind": "mean"}, "weights": [1.0, 3.0], "none": {}}) == {
        "name": "own",
        "pooling.kind": "mean",
        "weights": "[1.0,3.0]",
        "none": "{}",
    }
