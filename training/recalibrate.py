"""Publishes a version with the same network, recalibrated on newly labelled images and within their area."""

from dataclasses import replace
from typing import Final

import numpy as np

from model.appearance import encode_appearance
from model.artifact import GATE, ROI, read_artifact
from model.errors import DataError, ManifestError
from model.figures import Figures
from model.files import read_file
from model.manifest import Manifest, Variant
from model.store import Store
from training.cli_validation import check_error_bounds_of_folds
from training.data.dataset import Dataset
from training.data.samples import Sample
from training.data.splits import Split, groups_by_class, make_folds
from training.estimators.image_head import HeadWeights
from training.evaluation.data_warnings import data_warnings
from training.evaluation.drift import PARTS_PER_FALSE_ALARM, fit_drift
from training.evaluation.evaluate import Evaluation, stored_rule
from training.evaluation.figures import measure
from training.evaluation.gate_limits import HeldOutMeasures, fit_gate, with_held_out
from training.evaluation.map_sizes import padded
from training.evaluation.post_processing import (
    Method,
    OutOfFold,
    PostProcessor,
    cross_val_post_process,
    fit_post_processor,
)
from training.evaluation.thresholds import Fixed, LeastCost, Rule
from training.export.version import operating_point, publish_version
from training.features.measuring import as_row
from training.progress import Reporter
from training.provenance import command, now
from training.report.builders import version_report

_FOLDS: Final = 5


def choose_method(
    manifest: Manifest,
    dataset: Dataset,
    rule: Rule | None,
    defect_rate: float | None,
    odd_rate: float | None = None,
    parts_per_false_alarm: int | None = None,
) -> Method:
    """How to recalibrate; what is None: as the version has it.

    A fixed threshold was chosen for nothing, so least cost takes its place. Raises DataError where the images are those
    that the network learnt from or too few, ErrorBoundError where a fold's other images are too few for the rule,
    ManifestError where the version has no gate.
    """
    if dataset.fingerprint == manifest.data.fingerprint:
        raise DataError("the network learnt from these very images, so they can't tell where its thresholds belong")
    if manifest.gate is None:
        raise ManifestError("the version is of release 0.1, and its network can't carry a gate: train the model again")
    frame = manifest.preprocessing.frame
    if dataset.roi is not None and frame is not None and frame.scale is not None:
        raise DataError("the version scales images of any size, so no region of interest can be fixed in it")
    stored = stored_rule(manifest)
    chosen = rule or (LeastCost() if isinstance(stored, Fixed) else stored)
    others = [[dataset.samples[i] for i in split.train] for split in _splits(dataset.samples)]
    check_error_bounds_of_folds(chosen, dataset.samples, others)
    return Method(
        manifest.pooling,
        chosen,
        defect_rate or manifest.operating_point.defect_rate,
        odd_rate=odd_rate or manifest.gate.odd_rate,
        one_size=frame is not None and frame.scale is None,
        many_sizes=frame is not None and frame.scale is not None,
        parts_per_false_alarm=parts_per_false_alarm or _parts_per_false_alarm(manifest),
        head=HeadWeights(1.0, manifest.head_share),
    )


def recalibrate(
    evaluation: Evaluation, dataset: Dataset, method: Method, store: Store, reporter: Reporter
) -> Evaluation:
    """Fit calibration, thresholds, heatmap scale and the gate's limits on the evaluated images, and publish a version
    with them.

    Its figures are measured on each fold of the images as the other folds decide.
    Raises DataError or ErrorBoundError where the images are too few for that, StoreError or ArtifactError.
    """
    model = evaluation.version.parent.name
    artifact = read_artifact(evaluation.version)
    appearance = artifact.appearance
    assert appearance is not None  # `choose_method` has seen to it
    out_of_fold = _in_folds(evaluation)
    post_processor = fit_post_processor(out_of_fold, method)
    predictions = cross_val_post_process(out_of_fold, method)
    folds = len(np.unique(out_of_fold.fold_ids))
    protocol = (
        f"{len(predictions)} newly labelled images in {folds} folds, each post-processed as the others decide; network "
        f"of version {evaluation.version.name}"
    )
    figures = measure(predictions, protocol)
    manifest = _recalibrated(artifact.manifest, post_processor, figures)
    measures = HeldOutMeasures(
        np.array([as_row(found.measures) for found in evaluation.inspectability]),
        out_of_fold.is_anomaly,
        out_of_fold.fold_ids,
    )
    manifest = replace(
        manifest,
        operating_point=operating_point(method, predictions, dataset.fingerprint),
        gate=fit_gate(measures, appearance, method.odd_rate, one_size=method.one_size),
        drift=fit_drift(predictions, post_processor.accepted_below, measures.watched, method.parts_per_false_alarm),
    )
    warnings = data_warnings(figures, synthetic=False)
    about = (
        f"the network of version {evaluation.version.name}, with calibration and thresholds chosen on these images: "
        "the new version's number is its folder's name in the store"
    )
    report = version_report(manifest, dataset, model, about, predictions, figures).amended(
        seconds=dict(reporter.seconds),
        defect_rate=method.defect_rate,
        thresholds=post_processor.thresholds,
        warnings=warnings,
        one_network=True,
    )
    if evaluation.roi:
        manifest = _within_roi(manifest)
    files = {name: read_file(artifact.file(name)) for name in manifest.variant_files}
    if manifest.preprocessing.roi:
        files[ROI] = evaluation.roi.png if evaluation.roi else read_file(artifact.file(ROI))
    files[GATE] = encode_appearance(with_held_out(appearance, measures))
    with reporter.task("export", 1):
        path = publish_version(store, model, manifest, files, report)
    return Evaluation(path, figures, predictions, method.defect_rate, warnings)


def _parts_per_false_alarm(manifest: Manifest) -> int:
    """What the version's charts were made for; some have none."""
    return manifest.drift.parts_per_false_alarm if manifest.drift else PARTS_PER_FALSE_ALARM


def _in_folds(evaluation: Evaluation) -> OutOfFold:
    """The evaluated images in folds."""
    predictions = evaluation.predictions
    samples = [prediction.sample for prediction in predictions]
    fold_ids = np.zeros(len(samples), np.intp)
    for number, split in enumerate(_splits(samples)):
        fold_ids[split.test] = number
    heads = np.array([prediction.head for prediction in predictions], np.float32)
    maps = padded([prediction.evidence for prediction in predictions]) - heads[:, None, None]
    return OutOfFold(samples, maps, fold_ids, heads)


def _recalibrated(manifest: Manifest, post_processor: PostProcessor, figures: Figures) -> Manifest:
    """The manifest with every variant's calibration, thresholds and heatmap scale from float32's new post-processor. A
    cascade is left out: what it may clear was found for other thresholds."""
    float32 = manifest.variant("float32")
    variants = [_variant(each, float32, post_processor) for each in manifest.variants if each.cascade is None]
    measured = [replace(variant, figures=figures if variant.name == "float32" else None) for variant in variants]
    return replace(manifest, variants=measured, created=now(), command=command())


def _within_roi(manifest: Manifest) -> Manifest:
    """The manifest with a region of interest. Variants that agreed with float32 on whole images may not within it: they
    are left out."""
    variants = [variant for variant in manifest.variants if variant.agreement is None]
    return replace(manifest, preprocessing=replace(manifest.preprocessing, roi=ROI), variants=variants)


def _variant(variant: Variant, float32: Variant, post_processor: PostProcessor) -> Variant:
    """The variant with the post-processor moved by the linear map from its log-odds to float32's."""
    slope = variant.calibration.slope / float32.calibration.slope
    offset = float32.calibration.inverse(variant.calibration.offset)
    own = post_processor.moved(slope, offset)
    return replace(variant, calibration=own.calibration, thresholds=own.thresholds, heatmap_scale=own.heatmap_scale)


def _splits(samples: list[Sample]) -> list[Split]:
    """Five, or fewer where a class has few groups. Raises DataError where it has too few for two."""
    return make_folds(samples, max(2, min(_FOLDS, *groups_by_class(samples).values())), seed=0)
