"""What training will take on disks: claimed for a moment before it begins, so that it doesn't end for want of it."""

import math
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from model.hypercolumn import Hypercolumn
from model.weights import tensor_shapes
from training.data.samples import Sample
from training.data.training_set import Anomalies
from training.estimators.factory import estimator_for
from training.features.cache import CACHE, cache_folder, claimed
from training.recipe import Recipe

_FLOAT: Final = 4
_PAGES: Final = 20_000_000
"""Bytes, generously, of a version's report, golden images and manifest."""


def check_room(recipe: Recipe, samples: Sequence[Sample], anomalies: Anomalies, home: Path | None = None) -> None:
    """Raise StoreError now, not after training. `home`: the folder where a version will be written, if one will."""
    results, version = estimator_for(recipe).features_size(samples, anomalies), version_size(recipe.hypercolumn)
    with ExitStack() as together:  # they may lie on one disk
        together.enter_context(claimed(cache_folder(), results, "intermediate results", CACHE))
        if home is not None:
            together.enter_context(claimed(Path(tempfile.gettempdir()), version, "temporary files", "TMPDIR"))
            together.enter_context(claimed(home, version, "a version", "--store"))


def check_room_for_copy(version: Path) -> None:
    """The same for a version with the same network, beside this one."""
    size = sum(file.stat().st_size for file in version.rglob("*") if file.is_file()) + _PAGES
    with claimed(version.parent, size, "a version", "--store"):
        pass


def version_size(network: Hypercolumn) -> int:
    """Bytes of a version, at most: its weights twice in float32 (safetensors, ONNX) and once in int8, and pages."""
    weights = sum(math.prod(shape) for shape in tensor_shapes(network).values())
    return weights * (2 * _FLOAT + 1) + _PAGES
