"""Fine-tuning: the blocks that aren't frozen and the dense layer, by Adam on weighted cross-entropy."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model.engines.pytorch import limit_threads
from model.errors import RecipeError
from model.network import VGG16CAM
from training.features import Features
from training.imagenet import Trunk
from training.progress import Advance, no_progress
from training.recipe import Recipe
from training.split import Indices

_PREDICT_BATCH = 32


def fresh_network(trunk: Trunk, seed: int, device: str) -> VGG16CAM:
    """VGG-16 with ImageNet's convolutions and a dense layer drawn from `seed`, in float32."""
    limit_threads()
    torch.manual_seed(seed)
    network = VGG16CAM()
    network.set_weights(trunk)
    return network.to(device).to(memory_format=torch.channels_last)


def learn(
    network: VGG16CAM,
    features: Features,
    is_anomaly: NDArray[np.bool_],
    train: Indices,
    recipe: Recipe,
    advance: Advance = no_progress,
) -> None:
    """Train `network` in place on `features[train]`; the same seed gives the same weights to the bit on one CPU.

    An epoch's accuracy is counted while it trains, as the published recipe does; `advance` hears each epoch's figures.
    Raises RecipeError where the loss is no number any more.
    """
    device = network.dense.weight.device
    order = np.random.default_rng(recipe.seed)
    labels = torch.from_numpy(is_anomaly.astype(np.int64)).to(device)
    criterion = nn.CrossEntropyLoss(torch.tensor(recipe.class_weights, device=device))
    learned = [*network.blocks[recipe.frozen_blocks :].parameters(), *network.dense.parameters()]
    optimizer = torch.optim.Adam(learned, lr=recipe.learning_rate)
    network.train()
    for epoch in range(1, recipe.epochs + 1):
        loss_sum, right = 0.0, 0
        shuffled = order.permutation(train)
        for start in range(0, len(shuffled), recipe.batch_size):
            batch = shuffled[start : start + recipe.batch_size]
            inputs = torch.from_numpy(features[batch]).to(device)  # n×C×h×w
            logits = network.class_maps(network.continued(inputs, start=recipe.frozen_blocks)).mean((2, 3))  # n×2
            loss = criterion(logits, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(batch)
            right += int((logits.argmax(1) == labels[batch]).sum())
        if not math.isfinite(loss_sum):
            raise RecipeError(f"training diverged in epoch {epoch}: its loss is {loss_sum}; lower learning_rate")
        accuracy = right / len(shuffled)
        advance(f"epoch {epoch}/{recipe.epochs}: loss {loss_sum / len(shuffled):.4f}, training accuracy {accuracy:.1%}")
        if accuracy >= recipe.stop_at_accuracy:
            break
    network.eval()


def predict(network: VGG16CAM, features: Features, indices: Indices, frozen_blocks: int) -> NDArray[np.float32]:
    """Evidence maps n×h×w of `features[indices]`."""
    device = network.dense.weight.device
    maps = []
    with torch.inference_mode():
        for start in range(0, len(indices), _PREDICT_BATCH):
            inputs = torch.from_numpy(features[indices[start : start + _PREDICT_BATCH]]).to(device)
            output = network.evidence(network.class_maps(network.continued(inputs, start=frozen_blocks)))  # n×h×w
            maps.append(output.cpu().numpy())
    return np.concatenate(maps)
