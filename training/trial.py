"""One honest trial: train on a split's training part, then judge its test part, which the network hasn't seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.errors import DataError
from model.evidence import PictureScale
from model.network import VGG16CAM
from model.verdict import Calibration, Thresholds
from training.dataset import Sample, find_samples, kinds_of
from training.features import Features, compute_features
from training.imagenet import Trunk
from training.learning import fresh_network, learn, predict
from training.levels import Darkness, check_darkness, choose_levels
from training.masks import coverage
from training.prediction import Prediction
from training.progress import Advance, Reporter, no_progress
from training.recipe import Recipe
from training.split import Split
from training.survey import Survey, survey


@dataclass(frozen=True)
class Prepared:
    """Data that has been read and checked, with the frozen blocks' output for every image."""

    survey: Survey
    trunk: Trunk
    features: Features
    device: str

    @property
    def samples(self) -> list[Sample]:
        return self.survey.samples

    @property
    def is_anomaly(self) -> NDArray[np.bool_]:
        return np.array([sample.is_anomaly for sample in self.samples])


@dataclass(frozen=True)
class Trial:
    """A trained network and what it said of the test part, in the order of `split.test`."""

    split: Split
    network: VGG16CAM
    calibration: Calibration
    predictions: list[Prediction]
    scale: PictureScale
    darkness: Darkness | None
    """None: there were too few good images to look."""


def read_data(folder: Path, *, group: str | None, sample: int | None, seed: int, reporter: Reporter) -> Survey:
    """Find and check the images; `sample`: only so many of them, drawn by `seed`, with the kinds in proportion.

    Raises DataError.
    """
    samples = find_samples(folder, group=group)
    if sample is not None and sample < len(samples):
        samples = _drawn(samples, sample, seed)
    with reporter.task("reading images", len(samples)) as advance:
        found = survey(samples, advance)
    kinds = ", ".join(f"{kind} {count}" for kind, count in kinds_of(samples).items())
    copies = f"; {found.duplicates} are copies of others and stay with them" if found.duplicates else ""
    reporter.line(f"{len(samples)} images: {kinds}{copies}")
    return found


def prepare(found: Survey, trunk: Trunk, recipe: Recipe, device: str, reporter: Reporter) -> Prepared:
    """Run the frozen blocks over every image, once."""
    network = fresh_network(trunk, recipe.seed, device)
    with reporter.task("frozen blocks", len(found.samples)) as advance:
        features = compute_features(
            network,
            found.samples,
            blocks=recipe.frozen_blocks,
            input_size=recipe.input_size,
            full_scale=found.full_scale,
            advance=advance,
        )
    return Prepared(found, trunk, features, device)


def run_trial(data: Prepared, split: Split, recipe: Recipe, advance: Advance = no_progress, fold: int = 0) -> Trial:
    """Train on `split.train`, judge `split.test`. The test part has no influence on what is predicted of it."""
    network = fresh_network(data.trunk, recipe.seed, data.device)
    learn(network, data.features, data.is_anomaly, split.train, recipe, advance)
    maps = predict(network, data.features, split.test, recipe.frozen_blocks)
    calibration = uncalibrated(float(data.is_anomaly[split.train].mean()), recipe)
    samples = [data.samples[i] for i in split.test]
    good = maps[~data.is_anomaly[split.test]]
    masked = [i for i, sample in enumerate(samples) if sample.mask is not None]
    masks = coverage([samples[i] for i in masked], *maps.shape[1:])
    scale = choose_levels(good, maps[masked], masks)
    thresholds = Thresholds(recipe.threshold, recipe.threshold, recipe.threshold)
    predictions = [
        Prediction(sample, calibration(pooled), thresholds, evidence, scale, fold=fold)
        for sample, pooled, evidence in zip(samples, recipe.pooling(maps).tolist(), maps, strict=True)
    ]
    return Trial(
        split=split,
        network=network,
        calibration=calibration,
        predictions=predictions,
        scale=scale,
        darkness=check_darkness(good, maps[masked], masks, recipe.seed),
    )


def uncalibrated(share: float, recipe: Recipe) -> Calibration:
    """The network's own softmax. Class weights in the cross-entropy act like another share of anomalies in the data."""
    good, anomaly = recipe.class_weights
    return Calibration(1.0, 0.0, anomaly * share / (anomaly * share + good * (1 - share)))


def _drawn(samples: Sequence[Sample], count: int, seed: int) -> list[Sample]:
    """`count` samples, with the kinds in proportion, but at least one of each."""
    kinds = kinds_of(samples)
    if count < len(kinds):
        raise DataError(f"--sample {count}: there are {len(kinds)} kinds of image, and one of each is the least")
    rng = np.random.default_rng(seed)
    ranked = []
    for kind, size in kinds.items():
        members = [sample for sample in samples if sample.kind == kind]
        ranked += [(place / size, members[i]) for place, i in enumerate(rng.permutation(size))]
    ranked.sort(key=lambda pair: pair[0])
    return sorted((sample for _, sample in ranked[:count]), key=lambda sample: sample.name)
