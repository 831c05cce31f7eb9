"""A version with the same network, judged anew by newly labelled parts."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from model.artifact import read_artifact, write_artifact
from model.detector import load_detector
from model.errors import DataError
from model.figures import Figures
from model.files import read_file
from model.manifest import Manifest, OperatingPoint, Variant
from model.store import Store
from training.cli_validation import check_promise_of_parts
from training.data.dataset import Dataset
from training.data.samples import Sample
from training.data.splits import Split, groups_by_class, make_folds
from training.evaluation.data_warnings import data_warnings
from training.evaluation.error_bounds import error_rates_of, summary
from training.evaluation.evaluate import Evaluation, stored_rule
from training.evaluation.figures import measure
from training.evaluation.post_processing import (
    Method,
    OutOfFold,
    PostProcessor,
    cross_val_post_process,
    fit_post_processor,
)
from training.evaluation.thresholds import Fixed, LeastCost, Rule
from training.export.command import command
from training.progress import Reporter
from training.report.reporting import report_of_version

_PARTS: Final = 5


def plan(manifest: Manifest, found: Dataset, rule: Rule | None, defect_rate: float | None) -> Method:
    """How thresholds are to be chosen; None: by the version's own rule, at its own share of defects.

    A fixed threshold was chosen for nothing, so least cost takes its place. Raises DataError where the images are those
    that the network learnt from or too few, ErrorBoundError where a part of them can't carry the rule's promise.
    """
    if found.fingerprint == manifest.data.fingerprint:
        raise DataError("the network learnt from these very images, so they can't tell where its thresholds belong")
    stored = stored_rule(manifest)
    chosen = rule or (LeastCost() if isinstance(stored, Fixed) else stored)
    parts = [[found.samples[i] for i in split.train] for split in _splits(found.samples)]
    check_promise_of_parts(chosen, found.samples, parts)
    return Method(manifest.pooling, chosen, defect_rate or manifest.operating_point.defect_rate)


def rethreshold(evaluation: Evaluation, found: Dataset, method: Method, store: Store, reporter: Reporter) -> Evaluation:
    """Choose calibration, thresholds and levels on the evaluated images, and publish a version with them.

    Its figures are measured on each part of the images as the other parts decide.
    Raises DataError or ErrorBoundError where the images can't carry that, StoreError or ArtifactError.
    """
    model = evaluation.version.parent.name
    artifact = read_artifact(evaluation.version)
    manifest = artifact.manifest
    samples = [prediction.sample for prediction in evaluation.predictions]
    maps = np.stack([prediction.evidence for prediction in evaluation.predictions])
    parts = np.zeros(len(samples), np.intp)
    for number, split in enumerate(splits := _splits(samples)):
        parts[split.test] = number
    held = OutOfFold(samples, maps, parts)
    judge, predictions = fit_post_processor(held, method), cross_val_post_process(held, method)
    how = (
        f"{len(samples)} newly labelled images in {len(splits)} parts, each judged as the others decide; network of "
        f"version {evaluation.version.name}"
    )
    figures = measure(predictions, how)
    cautions = data_warnings(figures, synthetic=False)
    operating_point = OperatingPoint(
        rule=dict(msgspec.to_builtins(method.rule)),
        summary=f"{method.rule} {summary(error_rates_of(predictions))}",
        defect_rate=method.defect_rate,
        prior_invariant=method.rule.prior_invariant,
        fingerprint=found.fingerprint,
    )
    files = {name: read_file(artifact.file(name)) for name in manifest.files}
    variants = [_rejudged(variant, manifest.variant("float32"), judge, figures) for variant in manifest.variants]
    renewed = replace(
        manifest,
        operating_point=operating_point,
        variants=variants,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command(),
    )

    def fill(draft: Path) -> None:
        write_artifact(draft, renewed, files)
        load_detector(draft, "cpu")
        load_detector(draft, "cpu", variant="float32")  # the one that must not fail
        report_of_version(
            draft / "report",
            model=model,
            version=None,
            about=f"the network of version {evaluation.version.name}, with calibration and thresholds chosen on these "
            "images: the new version's number is its folder's name in the store",
            manifest=renewed,
            found=found,
            predictions=predictions,
            figures=figures,
            seconds=reporter.seconds,
            defect_rate=method.defect_rate,
            thresholds=judge.thresholds,
            warnings=cautions,
        )

    with reporter.task("export", 1):
        path = store.publish(model, fill)
    return Evaluation(path, figures, predictions, method.defect_rate, cautions)


def _rejudged(variant: Variant, float32: Variant, judge: PostProcessor, figures: Figures) -> Variant:
    """With the new judge of float32, moved by the line that brings this variant's log-odds to float32's."""
    slope = variant.calibration.slope / float32.calibration.slope
    offset = (variant.calibration.offset - float32.calibration.offset) / float32.calibration.slope
    own = judge.moved(slope, offset)
    return replace(
        variant,
        calibration=own.calibration,
        thresholds=own.thresholds,
        heatmap_scale=own.heatmap_scale,
        figures=figures if variant.name == "float32" else None,
    )


def _splits(samples: list[Sample]) -> list[Split]:
    """Five, or fewer where a class has few groups. Raises DataError where it has too few for two."""
    return make_folds(samples, max(2, min(_PARTS, *groups_by_class(samples).values())), seed=0)
