"""From a trained network to a version in the store."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.artifact import write_artifact
from model.decoding_probes import decoding_here
from model.detector import load_detector
from model.errors import StoreError
from model.figures import Figures
from model.manifest import SCHEMA, Data, Manifest, OperatingPoint, Preprocessing
from model.store import Store
from model.weights import trunk_digest
from training.data.dataset import Dataset
from training.data.samples import kinds_of
from training.data.training_set import TrainingSet
from training.estimators.image_head import add_image_head
from training.evaluation.error_bounds import error_rates_of, summary
from training.evaluation.post_processing import Method
from training.export.command import command
from training.export.variants import build_variants
from training.features.extraction import image_loader, load_images
from training.features.imagenet import Trunk
from training.pipeline import FittedPipeline
from training.progress import Advance, no_progress
from training.recipe import Recipe, as_dict

_GOLDEN_PER_CLASS: Final = 2
_LIBRARIES: Final = ("torch", "numpy", "onnx", "onnxruntime", "pillow", "safetensors", "scikit-learn", "scipy")


def export(
    store: Store,
    model: str,
    found: Dataset,
    material: TrainingSet,
    trained: FittedPipeline,
    recipe: Recipe,
    method: Method,
    figures: Figures,
    trunk: Trunk,
    write_report: Callable[[Path], object],
    advance: Advance = no_progress,
) -> Path:
    """Publish the network as the model's newest version, after loading it the way the service will.

    `write_report` fills the version's folder of pages for people. Raises StoreError, or ArtifactError where what was
    written doesn't load.
    """
    weight = trained.post_processor.context_weight
    network = trained.model.to_network(weight)
    golden = _golden_pixels(found, recipe)
    pictures = [image_loader(sample, recipe.input_size, found.full_scale) for sample in found.samples]
    maps = add_image_head(trained.model.evidence(material.real), trained.model.image_log_odds(material.real), weight)
    is_anomaly = material.is_anomaly[material.real]
    try:
        built = build_variants(
            network, recipe, trained.post_processor, figures, golden, pictures, maps, is_anomaly, advance
        )
    except OSError as error:  # in a folder for temporary files
        raise StoreError(f"a version of {model!r} can't be put together: {error}") from error
    manifest = Manifest(
        schema=SCHEMA,
        classes=("good", "anomaly"),
        preprocessing=Preprocessing(recipe.input_size, found.full_scale, decoding_here()),
        network=recipe.hypercolumn,
        pooling=recipe.pooling,
        operating_point=OperatingPoint(
            rule=dict(msgspec.to_builtins(method.rule)),
            summary=f"{method.rule} {summary(error_rates_of(trained.predictions))}",
            defect_rate=method.defect_rate,
            prior_invariant=method.rule.prior_invariant,
        ),
        variants=built.variants,
        data=Data(
            fingerprint=found.fingerprint,
            images=len(found.samples),
            kinds=kinds_of(found.samples),
            anomalies=material.anomalies,
        ),
        trunk_sha256=trunk_digest(trunk),
        files={},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command(),
        recipe=as_dict(recipe),
        libraries={"python": sys.version.split()[0]} | {name: metadata.version(name) for name in _LIBRARIES},
    )

    def fill(draft: Path) -> None:
        write_artifact(draft, manifest, built.files)
        load_detector(draft, "cpu")
        load_detector(draft, "cpu", variant="float32")  # the one that must not fail
        write_report(draft / "report")

    return store.publish(model, fill)


def _golden_pixels(found: Dataset, recipe: Recipe) -> dict[str, NDArray[np.uint8]]:
    """A few images of each class by the file name that they get, uint8 S×S×3."""
    goods = [sample for sample in found.samples if not sample.is_anomaly]
    defects = [sample for sample in found.samples if sample.is_anomaly]
    chosen = goods[:_GOLDEN_PER_CLASS] + defects[:_GOLDEN_PER_CLASS]
    pixels = load_images(chosen, recipe.input_size, found.full_scale)
    return {f"golden/{number}.png": image for number, image in enumerate(pixels)}
