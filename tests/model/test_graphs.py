"""Recordings stand in for CUDA graphs: what they are asked for is what a GPU would be."""

import numpy as np
import pytest
from numpy.typing import NDArray

from model.engines.graphs import Graphs, Run


class Recorder:
    """Records a `run` that only takes the shape it was recorded for, and says each image's first value."""

    def __init__(self) -> None:
        self.recorded: list[tuple[int, ...]] = []
        self.ran: list[int] = []

    def __call__(self, shape: tuple[int, ...]) -> Run:
        self.recorded.append(shape)

        def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            assert pixels.shape == shape
            self.ran.append(len(pixels))
            return pixels[:, :2, :2, 0].astype(np.float32)

        return run


def batch(size: int) -> NDArray[np.uint8]:
    return np.arange(size, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)


@pytest.mark.parametrize(("size", "ran"), [(1, [1]), (2, [2]), (3, [4]), (4, [4]), (5, [4, 1]), (11, [4, 4, 4])])
def test_padded_to_a_recorded_size(size: int, ran: list[int]) -> None:
    recorder = Recorder()
    maps = Graphs(recorder, sizes=[1, 2, 4])(batch(size))
    assert recorder.ran == ran
    assert maps.shape == (size, 2, 2)
    assert maps[:, 0, 0].tolist() == list(range(size))


def test_recorded_once_for_each_shape() -> None:
    recorder = Recorder()
    graphs = Graphs(recorder, sizes=[1, 2, 4])
    for size in (3, 4, 1, 3, 1):
        graphs(batch(size))
    assert recorder.recorded == [(4, 4, 4, 3), (1, 4, 4, 3)]
