"""The variant cascade: int8's network behind a narrow one, in int8 as well, that clears good images."""

from dataclasses import replace

import numpy as np

from model.artifact import ONNX_INT8, ONNX_NARROW_INT8
from model.engines.cascade import CascadeEngine
from model.manifest import MAX_LOG_ODDS_CHANGE, Cascade
from model.roi import Roi
from training.data.splits import Indices
from training.estimators.estimator import FittedCascade
from training.estimators.image_head import add_image_head
from training.evaluation.post_processing import PostProcessor
from training.export.onnx_graph import onnx_model
from training.export.quantization import quantized
from training.export.variants import (
    INT8_DISTANCE_TOLERANCE,
    BuiltVariants,
    ReferenceImages,
    agreement,
    linear_map,
    opened,
    predict_all,
)
from training.progress import Advance
from training.recipe import Recipe


def with_cascade(
    built: BuiltVariants,
    fitted: FittedCascade,
    real: Indices,
    recipe: Recipe,
    post_processor: PostProcessor,
    images: ReferenceImages,
    roi: Roi | None,
    advance: Advance,
) -> BuiltVariants:
    """The variants, and the cascade. `real`: the samples that `images` are. `advance` is called after each image that
    the narrow network has predicted.

    Its calibration and thresholds are int8's. What is compared with float32 are verdicts; log-odds of those images
    alone that the full network decides on, as the others' are the narrow network's own.
    """
    int8, clearing, pooling = built.variant("int8"), fitted.clearing, post_processor.pooling
    network = fitted.narrow.to_network(clearing.narrow.head.verdict)
    model = onnx_model(network.weights(), network.hypercolumn, recipe.input_size)
    files = built.files | {ONNX_NARROW_INT8: quantized(model, images.tiles(), recipe.seed)}
    maps = add_image_head(
        fitted.narrow.evidence(real), fitted.narrow.image_log_odds(real), clearing.narrow.head.verdict
    )
    ours, theirs = post_processor.calibration, int8.calibration
    with opened(files[ONNX_NARROW_INT8]) as narrow, opened(files[ONNX_INT8]) as full:
        output = predict_all(narrow, images, network.hypercolumn, advance)
        calibrated = [ours(value) for value in (clearing.slope * pooling(maps) + clearing.offset).tolist()]
        slope, offset = linear_map(np.array([theirs.inverse(value) for value in calibrated]), pooling(output.evidence))
        cascade = Cascade(
            files={"onnxruntime": ONNX_NARROW_INT8},
            share=fitted.trial.trial.share,
            slope=slope,
            offset=offset,
            margin=clearing.margin,
            distance_scale=float(np.median(images.appearance.distance(output.features)) / np.median(images.distances)),
            cleared=fitted.trial.cleared,
        )
        engine = CascadeEngine(
            narrow,
            full,
            cascade,
            pooling,
            theirs.inverse(post_processor.accepted_below - clearing.margin),
            images.appearance,
            images.farthest,
            int8.distance_scale,
            roi,
        )
        golden = images.golden_outputs(
            engine.run, pooling, (MAX_LOG_ODDS_CHANGE / theirs.slope, INT8_DISTANCE_TOLERANCE), int8.distance_scale
        )
    output = engine.on_full_scale(output)
    cleared = engine.cleared(output)
    log_odds = np.where(cleared, pooling(output.evidence), pooling(built.int8.evidence))
    features = np.where(cleared[:, None], output.features, built.int8.features)
    variant = replace(
        int8,
        name="cascade",
        cascade=cascade,
        golden=golden,
        agreement=agreement(
            post_processor,
            replace(post_processor, calibration=theirs),
            pooling(images.evidence),
            log_odds,
            images.is_anomaly,
            images.gate_differs(images.appearance.distance(features) / int8.distance_scale),
            ~cleared,
        ),
    )
    return replace(built, files=files, variants=[*built.variants, variant])
