"""The published recipe: fine-tuning of the last blocks by Adam on weighted cross-entropy."""

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from model.errors import RecipeError
from model.network import VGG16CAM
from training.data.splits import Indices
from training.data.training_set import TrainingSet
from training.estimators.network import fresh_network
from training.evaluation.post_processing import Maps
from training.features.extraction import Features
from training.features.imagenet import Trunk
from training.progress import Advance, no_progress
from training.recipe import Published

_PREDICT_BATCH = 32


@dataclass(frozen=True, eq=False)
class PublishedModel:
    """A fine-tuned network, and the features to continue from."""

    tuned: VGG16CAM
    learner: "PublishedLearner"

    def maps(self, indices: Indices) -> Maps:
        """Evidence maps n×h×w of these samples."""
        network, start = self.tuned, self.learner.recipe.frozen_blocks
        maps = []
        with torch.inference_mode():
            for first in range(0, len(indices), _PREDICT_BATCH):
                inputs = self.learner.inputs(indices[first : first + _PREDICT_BATCH])
                output = network.evidence(network.class_maps(network.layers(inputs, start=start)))  # n×h×w
                maps.append(output.cpu().numpy())
        return np.concatenate(maps)

    def context(self, indices: Indices) -> None:
        """There is none: the mean of the map is all that this recipe learns."""

    def network(self, context_weight: float = 0.0) -> VGG16CAM:
        """The whole network, on the CPU."""
        return copy.deepcopy(self.tuned).cpu()


@dataclass(frozen=True, eq=False)
class PublishedLearner:
    """Everything that fine-tuning needs of the samples."""

    material: TrainingSet
    features: Features
    """N×C×h×w: the frozen blocks' output."""
    trunk: Trunk
    recipe: Published
    device: str

    @property
    def steps(self) -> int:
        return self.recipe.epochs

    def inputs(self, indices: Indices) -> torch.Tensor:
        return torch.from_numpy(self.features[indices]).to(self.device)

    def learn(self, chosen: Indices, advance: Advance = no_progress) -> PublishedModel:
        """Fine-tune on these samples alone; the same seed gives the same weights to the bit on one CPU.

        An epoch's accuracy is counted while it trains, as the published recipe does; `advance` hears each epoch's
        figures. Raises RecipeError where the loss is no number any more.
        """
        recipe = self.recipe
        network = fresh_network(self.trunk, recipe.hypercolumn, recipe.seed, self.device)
        order = np.random.default_rng(recipe.seed)
        labels = torch.from_numpy(self.material.is_anomaly.astype(np.int64)).to(self.device)
        criterion = nn.CrossEntropyLoss(torch.tensor(recipe.class_weights, device=self.device))
        learned = [*network.blocks[recipe.frozen_blocks :].parameters(), *network.dense.parameters()]
        optimizer = torch.optim.Adam(learned, lr=recipe.learning_rate)
        network.train()
        for epoch in range(1, recipe.epochs + 1):
            loss_sum, right = 0.0, 0
            shuffled = order.permutation(chosen)
            for start in range(0, len(shuffled), recipe.batch_size):
                batch = shuffled[start : start + recipe.batch_size]
                layers = network.layers(self.inputs(batch), start=recipe.frozen_blocks)
                logits = network.class_maps(layers).mean((2, 3))  # n×2
                loss = criterion(logits, labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loss_sum += loss.item() * len(batch)
                right += int((logits.argmax(1) == labels[batch]).sum())
            if not math.isfinite(loss_sum):
                raise RecipeError(f"training diverged in epoch {epoch}: its loss is {loss_sum}; lower learning_rate")
            accuracy = right / len(shuffled)
            mean_loss = loss_sum / len(shuffled)
            advance(f"epoch {epoch}/{recipe.epochs}: loss {mean_loss:.4f}, training accuracy {accuracy:.1%}")
            if accuracy >= recipe.stop_at_accuracy:
                break
        return PublishedModel(network.eval(), self)
