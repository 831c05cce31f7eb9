"""The charts, each drawn from the points that report.json keeps."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from model.figures import CalibrationError, Figures
from training.report import words
from training.report.axis import mark, mark_probabilities, name, on_axis
from training.report.curves import Cost, Curves, Histogram, PrecisionRecall, ReliabilityBin, Roc
from training.report.decisions import DecisionSummary, ThresholdRange
from training.report.drawing import ACCENT, BAD, GOOD, INK, MUTED, PAPER, drawing
from training.report.report import LearningCurve

_PERCENT: Final = FuncFormatter(lambda share, _: f"{100 * share:.6g} %")
_POINT: Final[dict[str, Any]] = {
    "marker": "o",
    "markersize": 8,
    "color": ACCENT,
    "markeredgecolor": PAPER,
    "markeredgewidth": 1.5,
}


@dataclass(frozen=True)
class Charts:
    """The charts, each an SVG element."""

    scores: Markup
    roc: Markup
    precision_recall: Markup
    cost: Markup
    reliability: Markup
    learning: Markup | None


def draw_charts(curves: Curves, figures: Figures, decisions: DecisionSummary, learning: LearningCurve | None) -> Charts:
    """All of them; each describes itself in words too."""
    false_rejects = figures.false_positives / (figures.false_positives + figures.true_negatives)
    found = figures.true_positives / (figures.true_positives + figures.false_negatives)
    return Charts(
        scores=_scores(curves.scores, decisions),
        roc=_roc(curves.roc, false_rejects, found),
        precision_recall=_precision_recall(curves.precision_recall, figures, found),
        cost=_cost(curves.cost, decisions.label_from),
        reliability=_reliability(curves.reliability, figures.calibration_error),
        learning=_learning(learning) if learning else None,
    )


def _scores(scores: Histogram, decisions: DecisionSummary) -> Markup:
    description = "How many good and defective images got which probability. Good ones point up, defective ones down."
    with drawing("scores", description, "probability of a defect", "images") as chart:
        axes, edges = chart.axes, np.array(scores.edges)
        axes.stairs(scores.good, edges, fill=True, color=GOOD)
        axes.stairs([-images for images in scores.anomaly], edges, fill=True, color=BAD)
        axes.axhline(0, color=MUTED, linewidth=0.8)
        top, bottom = max(scores.good), max(scores.anomaly)
        axes.set_ylim(-1.25 * bottom, 1.35 * top)
        axes.set_xlim(edges[0], edges[-1])
        if decisions.has_review:
            mark(axes, decisions.accept_below)
            name(axes, decisions.accept_below, "accept below", 1.33 * top, room_on_the_left=0.35)
        mark(axes, decisions.reject_from)
        name(axes, decisions.reject_from, "reject from", 1.19 * top, room_on_the_left=0.65)
        # Each class's name stands on its own side of zero, at the end where few of its images are.
        beside: dict[str, Any] = {
            "xycoords": axes.get_yaxis_transform(),
            "textcoords": "offset points",
            "weight": "bold",
        }
        axes.annotate("good parts", (0.99, 0), xytext=(0, 5), ha="right", va="bottom", color=GOOD, **beside)
        axes.annotate("defective", (0.01, 0), xytext=(0, -5), ha="left", va="top", color=BAD, **beside)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):g}"))
        mark_probabilities(axes)
    return chart.svg


def _roc(roc: Roc, false_rejects: float, found: float) -> Markup:
    description = (
        f"ROC curve. The model operates where {words.percent(found)} of defects are found and "
        f"{words.percent(false_rejects)} of good parts are rejected."
    )
    with drawing("roc", description, "good parts rejected", "defects found") as chart:
        axes = chart.axes
        corner = max(0.1, 1.6 * false_rejects)
        inset = axes.inset_axes((0.42, 0.12, 0.55, 0.6)) if corner < 0.4 and found > 0.6 else None
        for each in [axes] + ([inset] if inset else []):
            each.step([0, *roc.false_reject_rate], [0, *roc.detection_rate], where="post", color=INK, linewidth=1.6)
            each.plot(false_rejects, found, linestyle="none", **_POINT, clip_on=False, zorder=5)
            each.xaxis.set_major_formatter(_PERCENT)
            each.yaxis.set_major_formatter(_PERCENT)
        axes.set(xlim=(-0.01, 1), ylim=(0, 1.02))
        if inset:
            inset.set(xlim=(-0.03 * corner, corner), ylim=(min(0.9, found - 0.05), 1.005))
            inset.tick_params(labelsize=8)
            inset.set_title("the upper left corner", fontsize=8, color=MUTED)
        else:
            axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (4, 4)))
    return chart.svg


def _precision_recall(curve: PrecisionRecall, figures: Figures, found: float) -> Markup:
    rejected = figures.true_positives + figures.false_positives
    precision = figures.true_positives / rejected if rejected else 1.0
    description = (
        f"Precision-recall curve. The model operates where {words.percent(found)} of defects are found and "
        f"{words.percent(precision)} of the measured images that are rejected are defective."
    )
    with drawing("precision", description, "defects found", "rejected parts that are defective") as chart:
        axes = chart.axes
        axes.step(curve.detection_rate, curve.precision, where="pre", color=INK, linewidth=1.6, label="these images")
        if curve.line_precision is not None:
            axes.step(
                curve.detection_rate, curve.line_precision, where="pre", color=MUTED, linewidth=1.4,
                linestyle=(0, (3, 2)), label="your line",
            )  # fmt: skip
            axes.legend(loc="lower left")
        axes.plot(found, precision, linestyle="none", **_POINT, clip_on=False, zorder=5)
        axes.set(xlim=(0, 1.01), ylim=(0, 1.02))
        axes.xaxis.set_major_formatter(_PERCENT)
        axes.yaxis.set_major_formatter(_PERCENT)
    return chart.svg


def _cost(cost: Cost, label_from: ThresholdRange) -> Markup:
    nothing = min(cost.accept_all, cost.reject_all)
    accepts = cost.accept_all <= cost.reject_all
    without = "accepting everything" if accepts else "rejecting everything"
    description = (
        f"Cost of errors over the threshold. At the thresholds used it is {words.count(cost.chosen)}, at the best one "
        f"{words.count(min(cost.cost))}, and {words.count(nothing)} when {without}."
    )
    with drawing("cost", description, "threshold", "cost in 1,000 parts") as chart:
        axes = chart.axes
        low, high = cost.log_odds[0] - 1, cost.log_odds[-1]
        axes.step([low, *cost.log_odds], [cost.cost[0], *cost.cost], where="pre", color=INK, linewidth=1.6)
        axes.axhline(nothing, color=MUTED, linewidth=1, linestyle=(0, (4, 4)))
        axes.annotate(
            without, (0.99 if accepts else 0.01, nothing), xycoords=axes.get_yaxis_transform(), xytext=(0, 4),
            textcoords="offset points", ha="right" if accepts else "left", color=MUTED, fontsize=9,
        )  # fmt: skip
        mark(axes, label_from)
        axes.plot(on_axis(label_from.value), cost.chosen, linestyle="none", **_POINT, zorder=5)
        top = 1.25 * max(nothing, cost.chosen)
        axes.set(xlim=(low, high), ylim=(-0.03 * top, top))
        mark_probabilities(axes)
    return chart.svg


def _reliability(bins: list[ReliabilityBin], error: CalibrationError) -> Markup:
    description = (
        f"Share of defects among images, by the probability they were given. Calibration error "
        f"{words.decimal(error.value)}; by chance alone up to {words.decimal(error.chance_95)}."
    )
    with drawing("reliability", description, "probability given", "share of defects") as chart:
        axes = chart.axes
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (4, 4)))
        x = [each.probability for each in bins]
        y = [each.anomalies.value for each in bins]
        below = [each.anomalies.value - each.anomalies.low for each in bins]
        above = [each.anomalies.high - each.anomalies.value for each in bins]
        axes.errorbar(x, y, (below, above), fmt="o", color=INK, ecolor=MUTED, elinewidth=1, markersize=5, clip_on=False)
        axes.set(xlim=(-0.02, 1.02), ylim=(0, 1.02))
        axes.xaxis.set_major_formatter(_PERCENT)
        axes.yaxis.set_major_formatter(_PERCENT)
    return chart.svg


def _learning(curve: LearningCurve) -> Markup:
    means = [(point.defects, sum(point.values) / len(point.values)) for point in curve.points]
    spoken = "; ".join(f"{defects} defects: {mean:.3f}" for defects, mean in means)
    with drawing("learning", f"Learning curve of {curve.measure}. {spoken}.", "defects in training", "") as chart:
        axes = chart.axes
        for point in curve.points:
            axes.plot([point.defects] * len(point.values), point.values, "o", color=MUTED, markersize=5, alpha=0.7)
        axes.plot(*zip(*means, strict=True), color=INK, linewidth=1.6)
        axes.set_ylabel(curve.measure)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator([defects for defects, _ in means]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    return chart.svg
