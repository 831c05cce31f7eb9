"""Builds every numeric form of a trained network that a version carries, each with what depends on it."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from model.appearance import Appearance, encode_appearance
from model.artifact import GATE, ONNX, ONNX_INT8, WEIGHTS, golden_png
from model.cpus import available_cpus
from model.engines.onnx_runtime import OnnxEngine
from model.engines.output import FrameOutput, NetworkOutput, concatenate
from model.evidence import Pooling
from model.figures import Figures
from model.hypercolumn import Hypercolumn
from model.manifest import MAX_LOG_ODDS_CHANGE, Agreement, Golden, Variant, VariantName
from model.network import VGG16CAM
from model.tiles import Tiling
from model.verdict import sigmoid
from model.weights import encode_weights
from training.data.image_sizes import Size
from training.evaluation.map_sizes import padded
from training.evaluation.post_processing import Maps, PostProcessor
from training.evaluation.ranking import Ranking
from training.export.onnx_graph import onnx_model
from training.export.quantization import quantized
from training.features.extraction import ImageLoader, tile_loader
from training.progress import Advance
from training.recipe import Recipe

_GOLDEN_PER_CLASS: Final = 2
_TOLERANCE: Final = {"float32": (1e-4, 1e-3), "float16": (0.05, 0.05)}
"""Of log-odds, and of distances as a share of them. float16's is a bound for float32 networks rounded to it, not yet
measured on a GPU."""
INT8_DISTANCE_TOLERANCE: Final = 0.1
_ORDINARY_LOG_ODDS: Final = 10.0

Bools = NDArray[np.bool_]
Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ReferenceImages:
    """The data set's images with the float32 network's evidence: what other variants are calibrated on and compared
    with, and golden images are taken from."""

    loaders: Sequence[ImageLoader]
    tiling: Tiling
    frames: Sequence[Size]
    """Width and height of each image's frame, in pixels."""
    evidence: Maps
    """n×h×w, as `padded` gives them."""
    is_anomaly: Bools
    appearance: Appearance
    """What the images look like to the float32 network."""
    distances: Floats
    """n: how far each is from that."""
    farthest: float
    """The gate's limit of that: the one check that variants' own numbers decide."""

    @cached_property
    def golden(self) -> dict[str, NDArray[np.uint8]]:
        """The first images of each class, and a black one, uint8 S×S×3, by the file name that they get; of a frame of
        several tiles, the one with the most evidence."""
        classes = (np.flatnonzero(~self.is_anomaly), np.flatnonzero(self.is_anomaly))
        chosen = np.concatenate([of_class[:_GOLDEN_PER_CLASS] for of_class in classes]).tolist()
        images = [self._strongest_tile(i) for i in chosen]
        return {f"golden/{number}.png": pixels for number, pixels in enumerate([*images, np.zeros_like(images[0])])}

    def tiles(self) -> list[ImageLoader]:
        """A loader of each tile of each image."""
        return [
            tile_loader(load, self.tiling, number)
            for load, (width, height) in zip(self.loaders, self.frames, strict=True)
            for number in range(self.tiling.count(height, width))
        ]

    def _strongest_tile(self, image: int) -> Pixels:
        frame, (width, height) = self.loaders[image](), self.frames[image]
        stride = max(side for _, side in self.frames) // self.evidence.shape[1]
        own = self.evidence[image, : height // stride, : width // stride]
        peaks = [float(part.max()) for part in self.tiling.cut(own, stride, beside=-np.inf)]
        return self.tiling.cut(frame)[int(np.argmax(peaks))]

    def gate_differs(self, distances: Floats) -> Bools:
        """Which images another variant's distances, n, on float32's scale, stop though its own don't, or let pass."""
        return np.asarray((distances > self.farthest) != (self.distances > self.farthest))

    def golden_outputs(
        self,
        run: Callable[[NDArray[np.uint8]], NetworkOutput],
        pooling: Pooling,
        tolerances: tuple[float, float],
        distance_scale: float = 1.0,
    ) -> Golden:
        """Golden outputs of a network. `run`: its output for pixels n×S×S×3; `tolerances`: see _TOLERANCE."""
        output = run(np.stack(list(self.golden.values())))
        log_odds = pooling(output.whole).tolist()
        distances = (self.appearance.distance(output.features) / distance_scale).tolist()
        tolerance, of_distance = tolerances
        return Golden(
            tolerance,
            dict(zip(self.golden, log_odds, strict=True)),
            dict(zip(self.golden, distances, strict=True)),
            of_distance,
        )


@dataclass(frozen=True)
class BuiltVariants:
    """The variants, and the files that they need."""

    files: dict[str, bytes]
    """Contents by name within the version."""
    variants: list[Variant]
    int8: NetworkOutput
    """int8's own, of all images; within the region of interest alone."""

    def variant(self, name: VariantName) -> Variant:
        """The variant of that name."""
        return next(variant for variant in self.variants if variant.name == name)


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
        ONNX_INT8: quantized(model, images.tiles(), recipe.seed),
        GATE: encode_appearance(images.appearance),
    } | {name: golden_png(pixels) for name, pixels in images.golden.items()}

    def run(pixels: Pixels) -> NetworkOutput:
        with torch.inference_mode():
            return NetworkOutput(*(each.numpy() for each in network.outputs(torch.from_numpy(pixels))))

    float32 = Variant(
        name="float32",
        files={"torch": WEIGHTS, "onnxruntime": ONNX},
        calibration=post_processor.calibration,
        thresholds=post_processor.thresholds,
        heatmap_scale=post_processor.heatmap_scale,
        golden=_by_size(images.golden_outputs(run, post_processor.pooling, _TOLERANCE["float32"])),
        figures=figures,
    )
    float16 = replace(
        float32,
        name="float16",
        files={"torch": WEIGHTS},
        golden=_in_float16(float32.golden),
        figures=None,
    )
    with opened(files[ONNX_INT8]) as engine:
        output = predict_all(engine, images, network.hypercolumn, advance)
        int8 = _int8(float32, engine, output, post_processor, images)
    return BuiltVariants(files, [float32, float16, int8], output)


def _by_size(golden: Golden) -> Golden:
    """With a tolerance that grows with the evidence, as rounding does."""
    largest = max(map(abs, golden.log_odds.values()))
    return replace(golden, tolerance=golden.tolerance * max(1.0, largest / _ORDINARY_LOG_ODDS))


def _int8(
    float32: Variant, engine: OnnxEngine, output: NetworkOutput, post_processor: PostProcessor, images: ReferenceImages
) -> Variant:
    pooling = post_processor.pooling
    log_odds, distances = pooling(output.evidence), images.appearance.distance(output.features)
    distance_scale = float(np.median(distances) / np.median(images.distances))
    own = post_processor.moved(*linear_map(pooling(images.evidence), log_odds))
    tolerance = MAX_LOG_ODDS_CHANGE / own.calibration.slope
    golden = images.golden_outputs(engine.run, pooling, (tolerance, INT8_DISTANCE_TOLERANCE), distance_scale)
    return replace(
        float32,
        name="int8",
        files={"onnxruntime": ONNX_INT8},
        calibration=own.calibration,
        heatmap_scale=own.heatmap_scale,
        golden=golden if pooling.strongest is None else _by_size(golden),  # of few patches it doesn't cancel out
        figures=None,
        distance_scale=distance_scale,
        agreement=agreement(
            post_processor,
            own,
            pooling(images.evidence),
            log_odds,
            images.is_anomaly,
            images.gate_differs(distances / distance_scale),
        ),
    )


@contextmanager
def opened(file: bytes) -> Iterator[OnnxEngine]:
    """An engine for an ONNX file. Raises EngineError."""
    with TemporaryDirectory() as folder:
        (path := Path(folder, "model.onnx")).write_bytes(file)
        yield OnnxEngine(path)


def linear_map(reference: Floats, log_odds: Floats) -> tuple[float, float]:
    """Slope and offset that bring another variant's `log_odds`, n, closest to float32's (least squares)."""
    if np.ptp(log_odds) == 0:
        return 1.0, float(reference.mean() - log_odds.mean())
    slope, offset = np.polyfit(log_odds, reference, 1)
    return (float(slope), float(offset)) if slope > 0 else (1.0, float(reference.mean() - log_odds.mean()))


def agreement(
    float32: PostProcessor,
    other: PostProcessor,
    reference: Floats,
    log_odds: Floats,
    is_anomaly: Bools,
    gate_differs: Bools,
    compared: Bools | None = None,
) -> Agreement:
    """Verdicts of `other` on another variant's `log_odds`, n, against float32's on its own, of the same images.
    `gate_differs`: which are inspectable by one alone. `compared`: whose log-odds are to be alike; None: all."""
    ours = [float32.calibration(value, float32.shift) for value in reference.tolist()]
    theirs = [other.calibration(value, float32.shift) for value in log_odds.tolist()]
    thresholds = float32.thresholds
    changed = sum(
        odd
        or (thresholds.label_of(p), thresholds.decision_of(p)) != (thresholds.label_of(q), thresholds.decision_of(q))
        for p, q, odd in zip(map(sigmoid, ours), map(sigmoid, theirs), gate_differs.tolist(), strict=True)
    )
    auroc_change = None
    if 0 < is_anomaly.sum() < len(is_anomaly):
        auroc_change = float(Ranking.of(log_odds, is_anomaly).auroc()[0] - Ranking.of(reference, is_anomaly).auroc()[0])
    changes = np.abs(np.subtract(ours, theirs))[slice(None) if compared is None else compared]
    return Agreement(len(ours), float(np.median(changes)) if len(changes) else 0.0, changed, auroc_change)


def _in_float16(golden: Golden) -> Golden:
    """float32's, with float16's tolerances, which grow with the evidence alike."""
    (tolerance, distance_tolerance), (of_float32, _) = _TOLERANCE["float16"], _TOLERANCE["float32"]
    return replace(golden, tolerance=golden.tolerance / of_float32 * tolerance, distance_tolerance=distance_tolerance)


def predict_all(engine: OnnxEngine, images: ReferenceImages, network: Hypercolumn, advance: Advance) -> NetworkOutput:
    """Output for all images, one tile at a time on each CPU; −∞ outside the region of interest."""
    tiling = images.tiling

    def predict(load: ImageLoader) -> FrameOutput:
        frame = load()
        tiles = [engine.run(tile[np.newaxis], exclusive=False) for tile in tiling.cut(frame)]
        advance()
        height, width = frame.shape[:2]
        return tiling.merge(concatenate(tiles), height, width, network.cells(tiling.tile // network.stride))

    with ThreadPoolExecutor(available_cpus()) as pool:
        outputs = list(pool.map(predict, images.loaders))
    evidence = padded([output.evidence for output in outputs])
    counted = np.where(np.isneginf(images.evidence), np.float32(-np.inf), evidence)
    return NetworkOutput(counted, np.stack([output.features for output in outputs]))
