"""From a trial to a version in the store."""

import shlex
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from model.artifact import WEIGHTS, write_artifact
from model.detector import load_detector
from model.manifest import Data, Figures, Golden, Manifest, Preprocessing, Variant
from model.network import VGG16CAM
from model.store import Store
from model.verdict import Thresholds
from model.weights import trunk_digest
from training.dataset import kinds_of
from training.features import squashed
from training.recipe import Recipe
from training.split import Indices
from training.trial import Prepared, Trial

_GOLDEN_PER_CLASS: Final = 2
_TOLERANCE: Final = {"float32": 1e-4, "float16": 0.05}
"""Log-odds. float16's is a bound for float32 networks rounded to it, not yet measured on a GPU."""
_LIBRARIES: Final = ("torch", "numpy", "pillow", "safetensors", "scikit-learn", "scipy")


def export(store: Store, model: str, data: Prepared, trial: Trial, recipe: Recipe, figures: Figures) -> Path:
    """Publish the trial's network as the model's newest version, after loading it the way the service will.

    Raises StoreError, or ArtifactError where what was written doesn't load.
    """
    golden = _golden_pixels(data, trial.split.test, recipe)
    network = trial.network.cpu()
    log_odds = _log_odds(network, golden, recipe)
    variants = [
        Variant(
            name=name,
            files={"torch": WEIGHTS},
            calibration=trial.calibration,
            thresholds=Thresholds(recipe.threshold, recipe.threshold, recipe.threshold),
            scale=trial.scale,
            golden=Golden(_TOLERANCE[name], log_odds),
            figures=figures if name == "float32" else None,
        )
        for name in ("float32", "float16")
    ]
    manifest = Manifest(
        schema=1,
        classes=("good", "anomaly"),
        preprocessing=Preprocessing(recipe.input_size, data.survey.full_scale),
        pooling=recipe.pooling,
        variants=variants,
        data=Data(
            fingerprint=data.survey.fingerprint,
            images=len(data.samples),
            kinds=kinds_of(data.samples),
            defect_share=float(data.is_anomaly.mean()),
        ),
        trunk_sha256=trunk_digest(data.trunk),
        files={},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=shlex.join(["python", "-m", "training", *sys.argv[1:]]),
        recipe=recipe.as_dict(),
        libraries={"python": sys.version.split()[0]} | {name: metadata.version(name) for name in _LIBRARIES},
    )

    def fill(draft: Path) -> None:
        write_artifact(draft, manifest, network.weights(), golden)
        load_detector(draft, "cpu")

    return store.publish(model, fill)


def _golden_pixels(data: Prepared, indices: Indices, recipe: Recipe) -> dict[str, NDArray[np.uint8]]:
    """A few images of each class by the file name that they get, uint8 S×S×3."""
    bad = data.is_anomaly[indices]
    chosen = [data.samples[i] for part in (indices[~bad], indices[bad]) for i in part[:_GOLDEN_PER_CLASS]]
    pixels = squashed(chosen, recipe.input_size, data.survey.full_scale)
    return {f"golden/{number}.png": image for number, image in enumerate(pixels)}


def _log_odds(network: VGG16CAM, golden: dict[str, NDArray[np.uint8]], recipe: Recipe) -> dict[str, float]:
    with torch.inference_mode():
        maps = network(torch.from_numpy(np.stack(list(golden.values())))).numpy()
    return dict(zip(golden, recipe.pooling(maps).tolist(), strict=True))
