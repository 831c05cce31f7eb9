"""The network that training begins from."""

import torch

from model.engines.pytorch import full_precision, limit_threads
from model.hypercolumn import Hypercolumn
from model.network import VGG16CAM
from model.weights import trunk_shapes
from training.features.imagenet import Trunk


def fresh_network(trunk: Trunk, hypercolumn: Hypercolumn, seed: int, device: str) -> VGG16CAM:
    """VGG-16 with ImageNet's convolutions and a dense layer drawn from `seed`, in float32 (see `full_precision`)."""
    limit_threads()
    full_precision()
    torch.manual_seed(seed)
    network = VGG16CAM(hypercolumn)
    network.set_weights({name: trunk[name] for name in trunk_shapes(hypercolumn)})
    return network.to(device).to(memory_format=torch.channels_last)
