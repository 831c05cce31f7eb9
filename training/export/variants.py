"""Every numeric form of a trained network that a version carries, each with what depends on it."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
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

_TOLERANCE: Final = {"float32": 1e-4, "float16": 0.05}
"""Log-odds. float16's is a bound for float32 networks rounded to it, not yet measured on a GPU."""

GoldenPixels = Mapping[str, NDArray[np.uint8]]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Built:
    """What a version holds beside its manifest."""

    files: dict[str, bytes]
    """Contents by name within the version."""
    variants: list[Variant]


def build_variants(
    network: VGG16CAM,
    recipe: Recipe,
    judge: PostProcessor,
    figures: Figures,
    golden: GoldenPixels,
    pictures: Sequence[ImageLoader],
    maps: Maps,
    is_anomaly: Bools,
    advance: Advance,
) -> Built:
    """float32 and float16, which share the judge, and int8, with one moved to agree with it on all `pictures`.

    `maps`: their evidence by the float32 network, n×h×w. `advance` hears of each picture that int8 has judged.
    """
    weights = network.weights()
    model = onnx_model(weights, recipe.hypercolumn, recipe.input_size)
    files = {
        WEIGHTS: encode_weights(weights, recipe.hypercolumn),
        ONNX: model.SerializeToString(deterministic=True),
        ONNX_INT8: quantized(model, pictures, recipe.seed),
    } | {name: golden_png(pixels) for name, pixels in golden.items()}
    stacked = np.stack(list(golden.values()))
    with torch.inference_mode():
        expected = network(torch.from_numpy(stacked)).numpy()
    float32 = Variant(
        name="float32",
        files={"torch": WEIGHTS, "onnxruntime": ONNX},
        calibration=judge.calibration,
        thresholds=judge.thresholds,
        heatmap_scale=judge.heatmap_scale,
        golden=Golden(_TOLERANCE["float32"], _by_name(golden, recipe.pooling(expected))),
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
    found = _maps_of(engine, pictures, advance)
    reference, pooled = recipe.pooling(maps), recipe.pooling(found)
    own = judge.moved(*agreeing(reference, pooled))
    int8 = replace(
        float32,
        name="int8",
        files={"onnxruntime": ONNX_INT8},
        calibration=own.calibration,
        heatmap_scale=own.heatmap_scale,
        golden=Golden(
            MAX_LOG_ODDS_CHANGE / own.calibration.slope, _by_name(golden, recipe.pooling(engine.evidence(stacked)))
        ),
        figures=None,
        agreement=agreement(judge, own, reference, pooled, is_anomaly),
    )
    return Built(files, [float32, float16, int8])


def agreeing(reference: Floats, found: Floats) -> tuple[float, float]:
    """Slope and offset that bring log-odds n of another variant closest to float32's (least squares)."""
    if np.ptp(found) == 0:
        return 1.0, float(reference.mean() - found.mean())
    slope, offset = np.polyfit(found, reference, 1)
    return (float(slope), float(offset)) if slope > 0 else (1.0, float(reference.mean() - found.mean()))


def agreement(
    judge: PostProcessor, other: PostProcessor, reference: Floats, found: Floats, is_anomaly: Bools
) -> Agreement:
    """What `other` says of log-odds `found`, n, against what `judge` says of float32's, of the same images."""
    ours = [judge.calibration(value, judge.shift) for value in reference.tolist()]
    theirs = [other.calibration(value, judge.shift) for value in found.tolist()]
    limits = judge.thresholds
    flips = sum(
        (limits.label_of(p), limits.decision_of(p)) != (limits.label_of(q), limits.decision_of(q))
        for p, q in zip(map(sigmoid, ours), map(sigmoid, theirs), strict=True)
    )
    change = None
    if 0 < is_anomaly.sum() < len(is_anomaly):
        change = float(Ranking.of(found, is_anomaly).auroc()[0] - Ranking.of(reference, is_anomaly).auroc()[0])
    return Agreement(len(ours), float(np.median(np.abs(np.subtract(ours, theirs)))), flips, change)


def _maps_of(engine: OnnxEngine, pictures: Sequence[ImageLoader], advance: Advance) -> Maps:
    """Evidence maps n×h×w, a picture at a time on each CPU."""

    def judged(picture: ImageLoader) -> Maps:
        maps = engine.evidence(picture()[np.newaxis], alone=False)
        advance()
        return maps

    with ThreadPoolExecutor(available_cpus()) as pool:
        return np.concatenate(list(pool.map(judged, pictures)))


def _by_name(golden: GoldenPixels, log_odds: Floats) -> dict[str, float]:
    return dict(zip(golden, log_odds.tolist(), strict=True))
