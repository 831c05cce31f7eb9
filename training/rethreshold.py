"""A version with the same network, judged anew by newly labelled parts."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from model.artifact import read_artifact, write_artifact
from model.detector import load_detector
from model.manifest import Operation
from model.store import Store
from model.weights import read_weights
from training.command import command
from training.evaluate import Evaluation
from training.figures import measure
from training.judge import HeldOut, Method, choose_judge, cross_judged, halves
from training.promises import outcome_of, sentence
from training.survey import Survey
from training.thresholds import Rule


def rethreshold(
    evaluation: Evaluation, found: Survey, rule: Rule, defect_rate: float | None, store: Store, model: str
) -> Evaluation:
    """Choose calibration, thresholds and levels on the evaluated images, and publish a version with them.

    Its figures are measured on each half of the images as the other half decides.
    Raises DataError or PromiseError where the images can't carry that, StoreError or ArtifactError.
    """
    artifact = read_artifact(evaluation.version)
    manifest = artifact.manifest
    method = Method(manifest.pooling, rule, defect_rate)
    samples = [prediction.sample for prediction in evaluation.predictions]
    maps = np.stack([prediction.evidence for prediction in evaluation.predictions])
    held = halves(HeldOut(samples, maps, np.zeros(len(samples), np.intp)), seed=0)
    judge, predictions = choose_judge(held, method), cross_judged(held, method)
    how = (
        f"{len(samples)} newly labelled images, each half judged as the other decides; "
        f"network of version {evaluation.version.name}"
    )
    figures = measure(predictions, how)
    operation = Operation(
        rule=dict(msgspec.to_builtins(rule)),
        says=f"{rule} {sentence(outcome_of(predictions))}",
        defect_rate=defect_rate,
        keeps_verdicts=rule.keeps_verdicts,
    )
    variants = [
        replace(
            variant,
            calibration=judge.calibration,
            thresholds=judge.thresholds,
            scale=judge.scale,
            figures=figures if variant.name == "float32" else None,
        )
        for variant in manifest.variants
    ]
    golden = {name: artifact.golden_pixels([name])[0] for name in manifest.variants[0].golden.log_odds}
    weights = read_weights(artifact.file(manifest.variants[0].files["torch"]), manifest.network)
    renewed = replace(manifest, operation=operation, variants=variants, command=command())

    def fill(draft: Path) -> None:
        write_artifact(draft, renewed, weights, golden)
        load_detector(draft, "cpu")

    return Evaluation(store.publish(model, fill), figures, predictions)
