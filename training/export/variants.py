"""Builds every numeric form of a trained network that a version carries, each with what depends on it."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from model.artifact import ONNX, ONNX_INT8, WEIGHTS, golden_png
from model.cpus import available_cpus
from model.engines.onnx_runtime import OnnxEngine
from model.figures import Figures
from model.manifest import MAX_LOG_ODDS_CHANGE, Agreement, Golden, Variant
from model.network import VGG16CAM
from model.verdict import sigmoid
from model.weights import encode_weights
from training.evaluation.post_processing import Maps, PostProcessor
from training.evaluation.ranking import Ranking
from training.export.onnx_graph import onnx_model
from training.export.quantization import quantized
from training.features.extraction import ImageLoader
from training.progress import Advance
from training.recipe import Recipe

_GOLDEN_PER_CLASS: Final = 2
_TOLERANCE: Final = {"float32": 1e-4, "float16": 0.05}
"""Log-odds. float16's is a bound for float32 networks rounded to it, not yet measured on a GPU."""

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ReferenceImages:
    """The data set's images with the float32 network's evidence: what other variants are calibrated on and compared
    with, and golden images are taken from."""

    loaders: Sequence[ImageLoader]
    evidence: Maps
    """n×h×w."""
    is_anomaly: Bools

    @cached_property
    def golden(self) -> dict[str, NDArray[np.uint8]]:
        """The first images of each class, uint8 S×S×3, by the file name that they get."""
        classes = (np.flatnonzero(~self.is_anomaly), np.flatnonzero(self.is_anomaly))
        chosen = np.concatenate([of_class[:_GOLDEN_PER_CLASS] for of_class in classes]).tolist()
        return {f"golden/{number}.png": self.loaders[i]() for number, i in enumerate(chosen)}

    def golden_outputs(self, tolerance: float, log_odds: Callable[[NDArray[np.uint8]], Floats]) -> Golden:
        """Golden outputs of a network. `log_odds`: pixels n×S×S×3 to pooled log-odds n."""
        outputs = log_odds(np.stack(list(self.golden.values()))).tolist()
        return Golden(tolerance, dict(zip(self.golden, outputs, strict=True)))


@dataclass(frozen=True)
class BuiltVariants:
    """The variants, and the files that they need."""

    files: dict[str, bytes]
    """Contents by name within the version."""
    variants: list[Variant]


def build_variants(
    network: VGG16CAM,
    recipe: Recipe,
    post_processor: PostProcessor,
    figures: Figures,
    images: ReferenceImages,
    advance: Advance,
) -> BuiltVariants:
    """float32 and float16, which share the post-processor, and int8, whose own is moved to agree with it on all images.

    `figures`: float32's. `advance` is called after each image that int8 has predicted.
    """
    weights = network.weights()
    model = onnx_model(weights, network.hypercolumn, recipe.input_size)
    files = {
        WEIGHTS: encode_weights(weights, network.hypercolumn),
        ONNX: model.SerializeToString(deterministic=True),
        ONNX_INT8: quantized(model, images.loaders, recipe.seed),
    } | {name: golden_png(pixels) for name, pixels in images.golden.items()}

    def log_odds(pixels: NDArray[np.uint8]) -> Floats:
        with torch.inference_mode():
            return recipe.pooling(network(torch.from_numpy(pixels)).numpy())

    float32 = Variant(
        name="float32",
        files={"torch": WEIGHTS, "onnxruntime": ONNX},
        calibration=post_processor.calibration,
        thresholds=post_processor.thresholds,
        heatmap_scale=post_processor.heatmap_scale,
        golden=images.golden_outputs(_TOLERANCE["float32"], log_odds),
        figures=figures,
    )
    float16 = replace(
        float32,
        name="float16",
        files={"torch": WEIGHTS},
        golden=replace(float32.golden, tolerance=_TOLERANCE["float16"]),
        figures=None,
    )
    with TemporaryDirectory() as folder:
        (file := Path(folder, ONNX_INT8)).write_bytes(files[ONNX_INT8])
        engine = OnnxEngine(file)
    return BuiltVariants(files, [float32, float16, _int8(float32, engine, post_processor, images, advance)])


def _int8(
    float32: Variant, engine: OnnxEngine, post_processor: PostProcessor, images: ReferenceImages, advance: Advance
) -> Variant:
    pooling = post_processor.pooling
    reference, log_odds = pooling(images.evidence), pooling(_predict(engine, images.loaders, advance))
    own = post_processor.moved(*linear_map(reference, log_odds))
    tolerance = MAX_LOG_ODDS_CHANGE / own.calibration.slope
    return replace(
        float32,
        name="int8",
        files={"onnxruntime": ONNX_INT8},
        calibration=own.calibration,
        heatmap_scale=own.heatmap_scale,
        golden=images.golden_outputs(tolerance, lambda pixels: pooling(engine.run(pixels).evidence)),
        figures=None,
        agreement=agreement(post_processor, own, reference, log_odds, images.is_anomaly),
    )


def linear_map(reference: Floats, log_odds: Floats) -> tuple[float, float]:
    """Slope and offset that bring another variant's `log_odds`, n, closest to float32's (least squares)."""
    if np.ptp(log_odds) == 0:
        return 1.0, float(reference.mean() - log_odds.mean())
    slope, offset = np.polyfit(log_odds, reference, 1)
    return (float(slope), float(offset)) if slope > 0 else (1.0, float(reference.mean() - log_odds.mean()))


def agreement(
    float32: PostProcessor, other: PostProcessor, reference: Floats, log_odds: Floats, is_anomaly: Bools
) -> Agreement:
    """Verdicts of `other` on another variant's `log_odds`, n, against float32's on its own, of the same images."""
    ours = [float32.calibration(value, float32.shift) for value in reference.tolist()]
    theirs = [other.calibration(value, float32.shift) for value in log_odds.tolist()]
    thresholds = float32.thresholds
    changed = sum(
        (thresholds.label_of(p), thresholds.decision_of(p)) != (thresholds.label_of(q), thresholds.decision_of(q))
        for p, q in zip(map(sigmoid, ours), map(sigmoid, theirs), strict=True)
    )
    auroc_change = None
    if 0 < is_anomaly.sum() < len(is_anomaly):
        auroc_change = float(Ranking.of(log_odds, is_anomaly).auroc()[0] - Ranking.of(reference, is_anomaly).auroc()[0])
    return Agreement(len(ours), float(np.median(np.abs(np.subtract(ours, theirs)))), changed, auroc_change)


def _predict(engine: OnnxEngine, loaders: Sequence[ImageLoader], advance: Advance) -> Maps:
    """Evidence maps n×h×w, one image at a time on each CPU."""

    def predict(load: ImageLoader) -> Maps:
        maps = engine.run(load()[np.newaxis], exclusive=False).evidence
        advance()
        return maps

    with ThreadPoolExecutor(available_cpus()) as pool:
        return np.concatenate(list(pool.map(predict, loaders)))
