"""The PyTorch engine: CUDA in float16, and the CPU in float32 as the reference."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from model.cpus import available_cpus
from model.engines.graphs import SIZES, Graphs, Run
from model.engines.output import NetworkOutput
from model.errors import DeviceMemoryError, EngineError
from model.hypercolumn import Hypercolumn
from model.manifest import VariantName
from model.network import VGG16CAM
from model.weights import read_weights


def cuda_available() -> bool:
    """Whether this PyTorch sees a CUDA device."""
    return torch.cuda.is_available()


def limit_threads() -> None:
    """Let PyTorch use no more CPUs than this process may; what OMP_NUM_THREADS says is kept where it is less."""
    torch.set_num_threads(min(torch.get_num_threads(), available_cpus()))


def full_precision() -> None:
    """Let float32 mean float32 on CUDA: without TF32, which convolutions use by default."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


@contextmanager
def _named_errors(device: str, what: str) -> Iterator[None]:
    """Raise PyTorch's as DeviceMemoryError or EngineError."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceMemoryError(f"{device} is out of memory for {what}") from error
    except RuntimeError as error:
        raise EngineError(f"PyTorch failed on {device}: {error}") from error


class TorchEngine:
    """VGG16CAM without gradients. TF32 stays off, so that float32 means float32."""

    name: Final = "torch"
    max_concurrency = 1

    def __init__(
        self,
        weights: Path,
        hypercolumn: Hypercolumn,
        variant: VariantName,
        device: Literal["cpu", "cuda"],
    ) -> None:
        """Raises what `read_weights` raises, DeviceMemoryError or EngineError."""
        self.device = device
        self.preferred_batch_size = SIZES[-1] if device == "cuda" else 1
        full_precision()
        network = VGG16CAM(hypercolumn)
        network.set_weights(read_weights(weights, hypercolumn))
        with _named_errors(device, "the network"):
            network.to(device=device, dtype=torch.float16 if variant == "float16" else torch.float32)
            network.to(memory_format=torch.channels_last)
        self._network = network.eval().requires_grad_(False)
        self._run: Run = self._eager
        if device == "cpu":
            limit_threads()
        else:
            self._run, self._pool = Graphs(self._recorded), torch.cuda.graph_pool_handle()

    @torch.inference_mode()
    def run(self, pixels: NDArray[np.uint8], *, exclusive: bool = True) -> NetworkOutput:
        """See `Engine.run`."""
        with _named_errors(self.device, f"a batch of {len(pixels)}"):
            return self._run(pixels)

    def _eager(self, pixels: NDArray[np.uint8]) -> NetworkOutput:
        return NetworkOutput(*(each.numpy() for each in self._network.outputs(torch.from_numpy(pixels))))

    def _recorded(self, shape: tuple[int, ...]) -> Run:
        """A CUDA graph from pixels to outputs, with its own buffers: on the host pinned, so that copies are direct.

        Warmed up on a stream of its own, as recording demands (PyTorch's notes on CUDA graphs).
        """
        host = torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        pixels = torch.empty_like(host, device="cuda")
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self._network.outputs(pixels)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # One graph of an engine runs at a time, so they may share their memory. Other threads serve meanwhile: they may
        # call CUDA as they like.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            outputs = [each.float() for each in self._network.outputs(pixels)]
        answers = [torch.empty(each.shape, dtype=torch.float32, pin_memory=True) for each in outputs]

        def run(given: NDArray[np.uint8]) -> NetworkOutput:
            host.numpy()[:] = given
            pixels.copy_(host, non_blocking=True)
            graph.replay()
            for answer, output in zip(answers, outputs, strict=True):
                answer.copy_(output, non_blocking=True)
            torch.cuda.current_stream().synchronize()
            return NetworkOutput(*(answer.numpy().copy() for answer in answers))

        return run
