"""The network that a regression of patches makes: a linear model of patches and one of whole images."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from model.network import VGG16CAM
from training.data.splits import Indices
from training.estimators.logistic import LinearModel
from training.estimators.network import fresh_network
from training.evaluation.map_sizes import padded

if TYPE_CHECKING:
    from training.estimators.patches import PreparedPatches

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PatchRegression:
    """A linear model of patches and one of whole images, and the features that they read."""

    patch_model: LinearModel
    image_model: LinearModel | None
    """The image head, on the features' means; None where there was nothing to learn it from."""
    prepared: "PreparedPatches"

    def evidence(self, indices: Indices) -> Floats:
        """Evidence maps n×h×w of these samples, without the image head; −∞ where a patch doesn't count, and beyond an
        image's own map where another's is larger."""
        return padded([self._evidence(i) for i in indices])

    def _evidence(self, image: int) -> Floats:
        prepared = self.prepared
        evidence = self.patch_model(prepared.features[image])
        counted = np.where(prepared.coverage[image][: len(evidence)] < 0, -np.inf, evidence)
        return counted.astype(np.float32).reshape(prepared.grids[image])

    def features(self, indices: Indices) -> Floats:
        """The gate's features n×F of these samples."""
        return np.asarray(self.prepared.grid_features[indices])

    def image_log_odds(self, indices: Indices) -> Floats | None:
        """Log-odds n of these samples by the image head; None where there is none."""
        return None if self.image_model is None else self.image_model(self.prepared.means[indices])

    def to_network(self, image_weight: float = 0.0) -> VGG16CAM:
        """The whole network on the CPU, with `image_weight` times the image head added to every patch."""
        recipe, model = self.prepared.recipe, self.image_model
        hypercolumn, halves = recipe.hypercolumn, np.array([-0.5, 0.5], np.float32)
        weights = np.zeros(hypercolumn.inputs, np.float32)
        weights[: hypercolumn.channels] = self.patch_model.weights
        if model is not None:
            weights[hypercolumn.channels :] = image_weight * model.weights
        dense = {"dense.weight": halves[:, None] * weights, "dense.bias": halves * np.float32(self.patch_model.bias)}
        if hypercolumn.head_apart:
            dense["dense.head_bias"] = halves * np.float32(0.0 if model is None else image_weight * model.bias)
        network = fresh_network(self.prepared.trunk, hypercolumn, recipe.seed, "cpu")
        network.set_weights(dense)
        return network.eval()
