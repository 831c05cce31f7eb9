"""The ONNX Runtime engine: the CPU, in float32 or int8, without PyTorch."""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.cpus import available_cpus
from model.engines.ort import onnxruntime, states
from model.engines.output import NetworkOutput
from model.errors import EngineError, MissingFileError

_FAILURES = (
    states.EPFail, states.Fail, states.InvalidArgument, states.InvalidGraph, states.InvalidProtobuf,
    states.NotImplemented, states.RuntimeException,
)  # fmt: skip


class OnnxEngine:
    """One model file in two sessions: one with a thread for every CPU, and one whose calls run on their own thread.

    Several calls of one thread each give more images a second than one call of several threads, which gives its one
    image sooner.
    """

    name: Final = "onnxruntime"
    device = "cpu"
    preferred_batch_size = 1

    def __init__(self, file: Path) -> None:
        """Raises MissingFileError or EngineError."""
        self.max_concurrency = available_cpus()
        try:
            self._wide = _session(file, self.max_concurrency)
            self._narrow = _session(file, 1) if self.max_concurrency > 1 else self._wide
        except states.NoSuchFile:
            raise MissingFileError(f"{file} is missing") from None
        except _FAILURES as error:
            raise EngineError(f"ONNX Runtime can't open {file}: {error}") from error
        there = {output.name for output in self._wide.get_outputs()}
        self._outputs = [name for name in NetworkOutput._fields if name == "evidence" or name in there]

    def run(self, pixels: NDArray[np.uint8], *, exclusive: bool = True) -> NetworkOutput:
        """See `Engine.run`."""
        session = self._wide if exclusive else self._narrow
        try:
            found = dict(zip(self._outputs, session.run(self._outputs, {"pixels": pixels}), strict=True))
        except (*_FAILURES, ValueError) as error:  # ValueError: the file's inputs or outputs have other names
            raise EngineError(f"ONNX Runtime failed: {error}") from error
        return NetworkOutput(**{"features": np.zeros((len(pixels), 0), np.float32)} | found)


# One pool of memory for all sessions: each of its own would keep what its largest batch so far took.
onnxruntime.create_and_register_allocator(
    onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    ),
    None,
)


def _session(file: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised; written to stderr too, past the log, they could stand there
    options.add_session_config_entry("session.use_env_allocators", "1")
    # Threads that spin while they wait take the CPU from decoding and from other sessions.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # By its path: given bytes, ONNX Runtime keeps Python's lock while it parses them, and every request waits.
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
