"""Patches to learn from: those that are kept, and those of one round behind them."""

import numpy as np
import pytest
import torch

from training.estimators.examples import Examples


def rows(count: int, value: float) -> tuple[np.ndarray, np.ndarray]:
    return np.full((count, 3), value, np.float32), np.full(count, value / 10, np.float32)


@pytest.mark.parametrize("room", [0, 5, 1000])
def test_they_are_what_joining_them_would_give(room: int) -> None:
    examples, kept = Examples(3, room, "cpu"), []
    for number in range(1, 8):
        kept.append(rows(4 * number, number))
        examples.add(*kept[-1])
        for more in (rows(number, 9), rows(0, 9)):
            features, targets = examples.followed_by(*more)
            joined = [np.concatenate(parts) for parts in zip(*kept, more, strict=True)]
            assert np.array_equal(features.numpy(), joined[0])
            assert np.array_equal(targets.numpy(), joined[1])
            assert features.is_contiguous()


@pytest.mark.parametrize(("room", "most"), [(0, 20), (1001, 1)])
def test_what_is_kept_is_rarely_copied(room: int, most: int) -> None:
    examples = Examples(3, room, "cpu")
    addresses = set()
    for _ in range(100):
        examples.add(*rows(10, 1.0))
        features, _ = examples.followed_by(*rows(1, 2.0))
        addresses.add(features.data_ptr())
    assert len(addresses) <= most
    assert features.dtype == torch.float32
