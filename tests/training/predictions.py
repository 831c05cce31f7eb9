"""Predictions without a network."""

from pathlib import Path

import numpy as np
from PIL import Image

from model.evidence import HeatmapScale
from model.verdict import Thresholds, logit
from training.data.masks import Mask
from training.data.samples import Sample
from training.evaluation.prediction import Prediction

FLAT = np.zeros((7, 7), np.float32)


def read_mask(path: Path) -> Mask:
    """What a black and white image marks."""
    return Mask.of(np.asarray(Image.open(path).convert("L")) > 127)


def prediction(
    kind: str,
    probability: float,
    threshold: float = 0.5,
    *,
    name: str | None = None,
    evidence: np.ndarray = FLAT,
    mask: Path | None = None,
    fold: int = 0,
) -> Prediction:
    """What a model might have said of an image of `kind`, by levels of 0 (dark) and 1 (region)."""
    name = name or f"{kind}.png"
    return Prediction(
        Sample(Path(name), name, kind, mask=read_mask(mask) if mask else None),
        logit(probability),
        Thresholds(threshold, threshold, threshold),
        evidence,
        HeatmapScale(0.0, 1.0),
        fold=fold,
    )
