"""The axis of log-odds, marked with probabilities, and thresholds on it."""

from typing import Final

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from model.verdict import logit, sigmoid
from training.report import words
from training.report.curves import FARTHEST
from training.report.decisions import ThresholdRange
from training.report.drawing import ACCENT

_PROBABILITIES: Final = (0.5, 0.1, 0.9, 0.01, 0.99, 0.001, 0.999, 1e-4, 0.9999, 1e-5, 0.99999)
"""Candidates for marks on the axis, the most wanted first."""


def on_axis(probability: float) -> float:
    """Position of a threshold on the axis of log-odds."""
    lowest = sigmoid(-FARTHEST)
    return logit(min(max(probability, lowest), 1.0 - lowest))


def mark(axes: Axes, threshold: ThresholdRange) -> None:
    """A line at a threshold, and a band where folds chose different ones."""
    if threshold.varies:
        axes.axvspan(on_axis(threshold.low), on_axis(threshold.high), color=ACCENT, alpha=0.15, linewidth=0)
    axes.axvline(on_axis(threshold.value), color=ACCENT, linewidth=1.4)


def name(axes: Axes, threshold: ThresholdRange, what: str, height: float, room_on_the_left: float) -> None:
    """Words beside a threshold's line: on its left where that much of the axis lies there, else on its right."""
    low, high = axes.get_xlim()
    x = on_axis(threshold.value)
    is_left = (x - low) / (high - low) > room_on_the_left
    axes.annotate(
        f"{what} {words.decimal(threshold.value)}",
        (x, height),
        xytext=(-4 if is_left else 4, 0),
        textcoords="offset points",
        ha="right" if is_left else "left",
        va="top",
    )


def mark_probabilities(axes: Axes) -> None:
    """Marks of probabilities on an axis of log-odds, as many as fit."""
    low, high = axes.get_xlim()
    kept: list[float] = []
    for x in map(logit, _PROBABILITIES):
        if low <= x <= high and all(abs(x - other) > (high - low) / 7 for other in kept):
            kept.append(x)
    axes.xaxis.set_major_locator(FixedLocator(kept))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: words.decimal(sigmoid(x))))
