"""Which of a layer's channels the next layer can do with."""

from typing import Final

import torch
from torch import Tensor

_LEAST: Final = 1e-9
"""Share of the largest variance below which a channel has nothing left of its own."""


def choose_channels(activations: Tensor, reader: Tensor, count: int) -> list[int]:
    """`count` channels of activations m×C from which the others' part in the next layer is best predicted.

    Greedy, one channel at a time: the one whose linear prediction of all of them leaves the next layer the least
    error, argmax_j R_j' M R_j / R_jj, R the covariance of what the chosen ones don't explain, M = Σ W' W over the
    positions of the reader's kernel, its weights O×C×k×k (the criterion of Luo, Wu & Lin 2017, section 3.2: what the
    next layer's output loses; its error with the others refitted, as He, Zhang & Sun 2017, section 3.1).
    """
    centred = (activations - activations.mean(0)).double()
    rest = centred.T @ centred / len(centred)  # C×C: R
    flat = reader.double().transpose(0, 1).flatten(1)  # C×O·k·k
    product = flat @ (flat.T @ rest)  # C×C: M R
    least = _LEAST * float(rest.diagonal().max())
    chosen: list[int] = []
    for _ in range(count):
        variance = rest.diagonal()
        gain = torch.where(variance > least, (rest * product).sum(0) / variance.clamp(min=least), 0.0)
        gain[chosen] = -1.0
        best = int(gain.argmax())
        chosen.append(best)
        if variance[best] > least:
            explained = rest[best] / variance[best].sqrt()
            product -= torch.outer(product[:, best] / variance[best].sqrt(), explained)
            rest = rest - torch.outer(explained, explained)
    return chosen
