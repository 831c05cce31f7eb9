"""The network that training begins from."""

import torch

from model.engines.pytorch import limit_threads
from model.hypercolumn import Hypercolumn
from model.network import VGG16CAM
from model.weights import trunk_shapes
from training.features.imagenet import Trunk


def fresh_network(trunk: Trunk, hypercolumn: Hypercolumn, seed: int, device: str) -> VGG16CAM:
    """VGG-16 with ImageNet's convolutions and a dense layer drawn from `seed`, in float32."""
    limit_threads()
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32 here, too: what is learnt is served on CPUs
    torch.manual_seed(seed)
    network = VGG16CAM(hypercolumn)
    network.set_weights({name: trunk[name] for name in trunk_shapes(hypercolumn)})
    return network.to(device).to(memory_format=torch.channels_last)
