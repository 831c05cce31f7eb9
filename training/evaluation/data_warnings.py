"""Warnings about the data that a reader needs before trusting a version's figures."""

from model.figures import Figures

_WIDE = 0.15
_WELL_RANKED = 0.95


def data_warnings(figures: Figures, synthetic: bool) -> list[str]:
    """Sentences; none where nothing is amiss. `synthetic`: the figures are about synthetic anomalies."""
    found = []
    if synthetic:
        found.append(
            "no real defect was used: figures, probabilities and thresholds are about synthetic ones; measure the "
            "version on real defects (evaluate) before a line relies on it"
        )
    interval = figures.balanced_accuracy
    if interval.high - interval.low > _WIDE:
        found.append(
            f"too few images to trust: balanced accuracy may be anything from {interval.low:.0%} to "
            f"{interval.high:.0%}; {figures.defect_decisions.images} defects and {figures.good_decisions.images} good "
            "images were measured"
        )
    goods = figures.good_decisions.images
    if figures.auroc.value > _WELL_RANKED and figures.false_positives > goods / 4:
        found.append(
            f"{figures.false_positives} of {goods} good parts are rejected although they are ranked well: from so few "
            f"good images no probability can be much below 1/{goods + 2}, and the thresholds ask for less; add good "
            "images, or choose a smaller --miss-cost, the line's --defect-rate or --best-balanced-accuracy"
        )
    return found
