"""Publishes versions: of a trained network, and of any manifest and files."""

import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec

from model.artifact import ROI, complete_sums, write_artifact
from model.decoding_probes import decoding_here
from model.detector import load_detector
from model.errors import StoreError
from model.manifest import Data, Manifest, OperatingPoint, Preprocessing
from model.manifest_schema import SCHEMA
from model.store import Store
from model.weights import trunk_digest
from training.data.samples import kinds_of
from training.estimators.image_head import add_image_head
from training.evaluation.drift import fit_drift
from training.evaluation.error_bounds import error_rates_of, summary
from training.evaluation.post_processing import Method
from training.evaluation.prediction import Prediction
from training.export.cascade import with_cascade
from training.export.variants import ReferenceImages, build_variants
from training.frame_sizes import frame_of
from training.pipeline import FittedPipeline
from training.provenance import command, now
from training.recipe import as_dict
from training.report.report import Report
from training.report.writer import write_report
from training.training_run import TrainingRun

_LIBRARIES: Final = ("torch", "numpy", "onnx", "onnxruntime", "pillow", "safetensors", "scikit-learn", "scipy")


def export(run: TrainingRun, pipeline: FittedPipeline, store: Store, model: str, report: Report) -> Path:
    """Publish the fitted pipeline as the model's newest version. `report`: of its held-out predictions.

    Raises as `publish_version` does.
    """
    recipe, dataset, real = run.recipe, run.dataset, pipeline.training_set.real
    weight = pipeline.post_processor.head.verdict
    images = ReferenceImages(
        run.images.loaders,
        run.resizing.tiling,
        [frame_of(recipe, sample) for sample in dataset.samples],
        add_image_head(pipeline.model.evidence(real), pipeline.model.image_log_odds(real), weight),
        pipeline.training_set.is_anomaly[real],
        pipeline.appearance,
        pipeline.appearance.distance(pipeline.model.features(real)),
        pipeline.gate.limits["appearance"][1],
    )
    network = pipeline.model.to_network(weight)
    post_processor, cascade = pipeline.post_processor, pipeline.cascade
    with run.reporter.task("export, with int8", len(dataset.samples) * (2 if cascade else 1)) as advance:
        try:
            built = build_variants(network, recipe, post_processor, report.figures, images, advance)
            if cascade:
                built = with_cascade(built, cascade, real, recipe, post_processor, images, run.roi, advance)
        except OSError as error:  # in a folder for temporary files
            raise StoreError(f"a version of {model!r} can't be put together: {error}") from error
        manifest = Manifest(
            schema=SCHEMA,
            classes=("good", "anomaly"),
            preprocessing=Preprocessing(
                recipe.input_size,
                dataset.full_scale,
                recipe.reduced_decoding,
                decoding_here(),
                recipe.frame,
                ROI if run.roi else None,
            ),
            network=network.hypercolumn,
            trunk_choice=pipeline.trunk_choice,
            pooling=post_processor.pooling,
            operating_point=operating_point(run.method, pipeline.predictions),
            gate=pipeline.gate,
            variants=built.variants,
            data=Data(
                fingerprint=dataset.fingerprint,
                images=len(dataset.samples),
                kinds=kinds_of(dataset.samples),
                anomalies=pipeline.training_set.anomalies,
            ),
            trunk_sha256=trunk_digest(run.trunk),
            files={},
            created=now(),
            command=command(),
            recipe=as_dict(recipe),
            head_share=post_processor.head.share,
            drift=fit_drift(
                pipeline.predictions,
                post_processor.accepted_below,
                pipeline.measures.watched,
                run.method.parts_per_false_alarm,
            ),
            libraries={"python": sys.version.split()[0]} | {name: metadata.version(name) for name in _LIBRARIES},
        )
        files = built.files | ({ROI: run.roi.png} if run.roi else {})
        return publish_version(store, model, manifest, files, report)


def operating_point(
    method: Method, predictions: Sequence[Prediction], fingerprint: str | None = None
) -> OperatingPoint:
    """What `method` chose thresholds for, with the error rates of held-out `predictions`.

    `fingerprint`: of the images that it was fitted on, where they aren't those that the version was made from.
    """
    return OperatingPoint(
        rule=dict(msgspec.to_builtins(method.rule)),
        summary=f"{method.rule} {summary(error_rates_of(predictions))}",
        defect_rate=method.defect_rate,
        prior_invariant=method.rule.prior_invariant,
        fingerprint=fingerprint,
    )


def publish_version(store: Store, model: str, manifest: Manifest, files: Mapping[str, bytes], report: Report) -> Path:
    """Publish `files` under `manifest` as the model's newest version, after loading it the way the service will.

    Raises StoreError, or ArtifactError where what was written doesn't load; then nothing is published.
    """

    def fill(draft: Path) -> None:
        write_artifact(draft, manifest, files)
        if load_detector(draft, "cpu").variant.name != "float32":
            load_detector(draft, "cpu", variant="float32")  # the one that must not fail
        write_report(draft / "report", report)
        complete_sums(draft)

    return store.publish(model, fill)
