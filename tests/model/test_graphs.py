"""Recordings stand in for CUDA graphs: what they are asked for is what a GPU would be."""

import numpy as np
import pytest
from numpy.typing import NDArray

from model.engines.graphs import Graphs, Run
from model.engines.output import NetworkOutput


class Recorder:
    """Records a `run` that only takes the shape it was recorded for, and says each image's first value."""

    def __init__(self) -> None:
        self.recorded: list[tuple[int, ...]] = []
        self.ran: list[int] = []

    def __call__(self, shape: tuple[int, ...]) -> Run:
        self.recorded.append(shape)

        def run(pixels: NDArray[np.uint8]) -> NetworkOutput:
            assert pixels.shape == shape
            self.ran.append(len(pixels))
            values = pixels.astype(np.float32)
            return NetworkOutput(values[:, :2, :2, 0], values[:, 0, :2, 0])

        return run


def batch(size: int) -> NDArray[np.uint8]:
    return np.arange(size, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)


@pytest.mark.parametrize(("size", "ran"), [(1, [1]), (2, [2]), (3, [4]), (4, [4]), (5, [4, 1]), (11, [4, 4, 4])])
def test_padded_to_a_recorded_size(size: int, ran: list[int]) -> None:
    recorder = Recorder()
    output = Graphs(recorder, sizes=[1, 2, 4])(batch(size))
    assert recorder.ran == ran
    assert (output.evidence.shape, output.features.shape) == ((size, 2, 2), (size, 2))
    assert output.evidence[:, 0, 0].tolist() == output.features[:, 1].tolist() == list(range(size))


def test_recorded_once_for_each_shape() -> None:
    recorder = Recorder()
    graphs = Graphs(recorder, sizes=[1, 2, 4])
    for size in (3, 4, 1, 3, 1):
        graphs(batch(size))
    assert recorder.recorded == [(4, 4, 4, 3), (1, 4, 4, 3)]
