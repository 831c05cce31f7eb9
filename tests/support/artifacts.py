"""A real artifact without training: blocks of VGG-16 with seeded random weights, a small input, true golden outputs."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.appearance import Appearance, encode_appearance, unit
from model.artifact import GATE, ONNX, ROI, SUMS, WEIGHTS, golden_png, write_artifact
from model.decoding_probes import decoding_here
from model.engines.output import NetworkOutput
from model.evidence import HeatmapScale, Pooling
from model.figures import CalibrationError, Decisions, Estimate, Figures, KindFigures, Localisation
from model.gate import CHECKS, CheckName, Gate, Limits
from model.hypercolumn import Hypercolumn
from model.manifest import Data, Golden, Manifest, OperatingPoint, Preprocessing, Variant
from model.manifest_schema import SCHEMA
from model.roi import Roi
from model.store import Store
from model.tiles import Frame
from model.verdict import Calibration, Thresholds
from model.weights import encode_weights, tensor_shapes
from training.export.onnx_graph import onnx_model

INPUT_SIZE: Final = 64
NETWORK: Final = Hypercolumn((2,), stride=16)
"""Two blocks, 1 MB: all five have 59, which every test that publishes would write, and every process load."""
WHOLE: Final = Hypercolumn()
"""What benchmarks measure."""
OPEN: Final[dict[CheckName, Limits]] = dict.fromkeys(CHECKS, (-1e9, 1e9))
"""Limits that let everything pass."""


def publish(
    root: Path,
    model: str = "widget",
    *,
    seed: int = 1,
    slope: float = 10.0,
    defect_rate: float | None = None,
    onnx: bool = False,
    size: int = INPUT_SIZE,
    hypercolumn: Hypercolumn = NETWORK,
    limits: Mapping[CheckName, Limits] | None = None,
    frame: Frame | None = None,
    roi: NDArray[np.bool_] | None = None,
) -> Path:
    """Publish the next version of `model` in the store `root`. Different seeds or slopes answer differently.

    `onnx`: also for ONNX Runtime. `limits`: of the gate, which lets everything pass else. `frame`: of several tiles;
    None: every image is one. `roi`: where images count, as large as a frame.
    """
    weights = random_weights(seed, hypercolumn)
    images = {f"golden/{name}.png": pattern(name, size) for name in range(3)}

    def fill(path: Path) -> None:
        output = _outputs(weights, hypercolumn, list(images.values()))
        appearance = appearance_of(output.features)
        golden = Golden(
            1e-4,
            dict(zip(images, Pooling()(output.whole).tolist(), strict=True)),
            dict(zip(images, appearance.distance(output.features).tolist(), strict=True)),
            1e-3,
        )
        files = {name: golden_png(pixels) for name, pixels in images.items()}
        files |= {WEIGHTS: encode_weights(weights, hypercolumn), GATE: encode_appearance(appearance)}
        manifest = _manifest(hypercolumn, golden, slope, defect_rate, size, {**OPEN, **(limits or {})}, frame)
        if onnx:
            files[ONNX] = onnx_model(weights, hypercolumn, size).SerializeToString()
            float32 = manifest.variant("float32")
            manifest = replace(manifest, variants=[replace(float32, files=float32.files | {"onnxruntime": ONNX})])
        if roi is not None:
            files[ROI] = Roi(roi).png
            preprocessing = replace(manifest.preprocessing, roi=ROI)
            manifest = replace(manifest, preprocessing=preprocessing, files={**manifest.files, ROI: "0" * 64})
        write_artifact(path, manifest, files)

    return Store(root).publish(model, fill)


def appearance_of(features: NDArray[np.float32]) -> Appearance:
    """Looks like these images, n×F: distances up to 1."""
    rows = unit(features)
    mean = rows.mean(axis=0)
    residual = float(np.square(rows - mean).sum(axis=1).max()) / mean.size
    nothing = np.zeros((0, mean.size), np.float32)
    distances = np.linspace(0, 1, 99, dtype=np.float32)
    return Appearance(mean, nothing, np.zeros(0, np.float32), residual, distances)


def resum(version: Path) -> None:
    """Let SHA256SUMS be true to the files that the manifest names, and to the manifest."""
    manifest = json.loads((version / "manifest.json").read_bytes())  # in whatever encoding
    names = ["manifest.json", *manifest.get("files", [])]
    there = {name: version / name for name in names if "\0" not in name and (version / name).is_file()}
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {name}\n" for name, file in there.items()]
    (version / SUMS).unlink(missing_ok=True)  # it may be a link to another version's
    (version / SUMS).write_text("".join(lines))


def pattern(seed: int, size: int = INPUT_SIZE) -> NDArray[np.uint8]:
    """A smooth coloured pattern with noise, uint8 size×size×3."""
    generator = np.random.default_rng(seed)
    waves = np.linspace(0, 6 + 3 * seed, size)
    smooth = 100 + 60 * np.sin(waves)[:, None, None] * np.cos(waves)[None, :, None] * np.array([1.0, 0.5, -1.0])
    return np.asarray(np.clip(smooth + generator.normal(0, 20, (size, size, 3)), 0, 255), np.uint8)


@cache
def random_weights(seed: int, hypercolumn: Hypercolumn = NETWORK) -> dict[str, NDArray[np.float32]]:
    """He et al. 2015's initialisation; the dense layer is scaled so that evidence has deviation 2 around 0."""
    generator = np.random.default_rng(seed)
    weights = {
        name: np.zeros(shape, np.float32)
        if name.endswith("bias")
        else generator.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / np.prod(shape[1:])))
        for name, shape in tensor_shapes(hypercolumn).items()
    }
    evidence = _outputs(weights, hypercolumn, [pattern(number) for number in range(4)]).evidence
    scale = np.float32(2 / evidence.std())
    weights["dense.weight"] *= scale
    weights["dense.bias"] = np.array([scale * evidence.mean(), 0], np.float32)
    return weights


def _outputs(
    weights: Mapping[str, NDArray[np.float32]], hypercolumn: Hypercolumn, images: Sequence[NDArray[np.uint8]]
) -> NetworkOutput:
    """Of images by PyTorch, which takes seconds to import: files of tests that publish nothing do without."""
    import torch

    from model.network import VGG16CAM

    network = VGG16CAM(hypercolumn)
    network.set_weights(weights)
    with torch.inference_mode():
        return NetworkOutput(*(each.numpy() for each in network.outputs(torch.from_numpy(np.stack(images)))))


def _manifest(
    hypercolumn: Hypercolumn,
    golden: Golden,
    slope: float,
    defect_rate: float | None,
    size: int,
    limits: dict[CheckName, Limits],
    frame: Frame | None,
) -> Manifest:
    figures = Figures(
        protocol="drawn up for tests",
        true_positives=9,
        true_negatives=19,
        false_positives=1,
        false_negatives=1,
        accuracy=Estimate(0.933, 0.78, 0.99),
        balanced_accuracy=Estimate(0.925, 0.75, 0.98),
        auroc=Estimate(0.97, 0.9, 0.99),
        average_precision=Estimate(0.95, 0.88, 0.98),
        miss_rate_at_1_percent=Estimate(0.2, 0.06, 0.51),
        miss_rate_at_5_percent=Estimate(0.1, 0.02, 0.4),
        log_loss=Estimate(0.2, 0.1, 0.3),
        brier_score=Estimate(0.06, 0.03, 0.1),
        calibration_error=CalibrationError(0.05, 0.06, 0.1),
        good_decisions=Decisions(18, 1, 1),
        defect_decisions=Decisions(1, 1, 8),
        by_kind={"good": KindFigures(1, 20), "crack": KindFigures(1, 10, 0.97)},
        good_images_with_region=Estimate(0.05, 0.01, 0.24),
        good_heatmap_median=0.02,
        localisation=Localisation(
            images=10,
            components=12,
            pixel_auroc=0.98,
            aupro=0.93,
            pointing_game=Estimate(0.9, 0.6, 0.98),
            region_iou=0.41,
            component_recall=Estimate(0.75, 0.47, 0.91),
        ),
    )
    variant = Variant(
        name="float32",
        files={"torch": WEIGHTS},
        calibration=Calibration(slope, 0.0, 1 / 3),
        thresholds=Thresholds(0.3, 0.42, 0.6),
        heatmap_scale=HeatmapScale(-2.0, 2.0, smoothing=0.5),
        golden=golden,
        figures=figures,
    )
    return Manifest(
        schema=SCHEMA,
        classes=("good", "anomaly"),
        preprocessing=Preprocessing(size, 4095, True, decoding_here(), frame),
        network=hypercolumn,
        pooling=Pooling(),
        head_share=0.25 if hypercolumn.head_apart else 1.0,
        operating_point=OperatingPoint(
            rule={"name": "least-cost", "miss_cost": 10.0},
            summary="Least expected cost, where a missed defect costs as much as 10 false rejects.",
            defect_rate=defect_rate,
            prior_invariant=False,
        ),
        gate=Gate(
            odd_rate=0.005,
            odd_bound=0.0645,
            images=30,
            good_odd=Estimate(0.05, 0.01, 0.24),
            defects_odd=Estimate(0, 0, 0.28),
            summary="Limits beyond which at most 0.5 % of ordinary images lie.",
            limits=limits,
        ),
        variants=[variant],
        data=Data(hashlib.sha256(b"tests").hexdigest(), 30, {"good": 20, "crack": 10}, "real"),
        trunk_sha256=hashlib.sha256(b"trunk").hexdigest(),
        files=dict.fromkeys([WEIGHTS, GATE, *golden.log_odds], "0" * 64),  # write_artifact takes the digests
        created="2026-11-23T12:00:00Z",
        command="tests",
        recipe={"preset": "none"},
        libraries={"none": "0"},
    )
