"""What an engine is, and which one runs which variant of a version."""

from importlib.util import find_spec
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from model.artifact import Artifact
from model.engines.devices import Device
from model.engines.output import NetworkOutput, concatenate
from model.errors import GoldenOutputError
from model.manifest import EngineName, Variant, VariantName

EngineChoice = Literal["auto", "torch", "onnxruntime"]
Pixels = NDArray[np.uint8]


class Engine(Protocol):
    """Runs one version's network on one device."""

    @property
    def name(self) -> EngineName:
        """The library."""

    @property
    def device(self) -> str:
        """cpu or cuda."""

    @property
    def max_concurrency(self) -> int:
        """How many threads may be in `run` at once."""

    @property
    def preferred_batch_size(self) -> int:
        """The smallest batch that is as quick, image for image, as any larger one."""

    def run(self, pixels: Pixels, *, exclusive: bool = True) -> NetworkOutput:
        """The network's output for uint8 N×S×S×3.

        `exclusive`: no other call runs meanwhile, so that this one may use the whole device; else one thread's share.
        Raises DeviceMemoryError or EngineError.
        """


def engines_for(variant: Variant, device: Device, choice: EngineChoice) -> list[EngineName]:
    """The installed engines that run this variant on this device, the quicker first."""
    if device == "cuda":
        names: list[EngineName] = ["torch"] if variant.name in ("float32", "float16") else []
    else:
        names = ["onnxruntime", "torch"] if variant.name != "float16" else []
    return [
        name for name in names if name in variant.files and choice in ("auto", name) and find_spec(name) is not None
    ]


def open_engine(artifact: Artifact, variant: Variant, device: Device, name: EngineName = "torch") -> Engine:
    """Open the version's network in the variant's numeric form, or both of a cascade's.

    Raises EngineError, or what `read_weights` raises.
    """
    if variant.cascade:
        from model.engines.cascade import open_cascade  # it opens engines

        return open_cascade(artifact, variant, variant.cascade, name)
    return open_network(artifact, variant.files[name], variant.name, device, name)


def open_network(artifact: Artifact, file_name: str, variant: VariantName, device: Device, name: EngineName) -> Engine:
    """Open one network file of the version. Raises as `open_engine` does."""
    file = artifact.file(file_name)
    if name == "onnxruntime":
        from model.engines.onnx_runtime import OnnxEngine

        return OnnxEngine(file)
    from model.engines.pytorch import TorchEngine  # torch is imported only where it is used

    return TorchEngine(file, artifact.manifest.network, variant, device)


def replay_golden(engine: Engine, artifact: Artifact, variant: Variant, most: int | None = None) -> None:
    """Run the golden images, or the first `most` of them. Raises GoldenOutputError where log-odds, or distances from
    the training images, are off by more than the variant's tolerance.

    In batches as requests come in, alternately with the device for each alone and not: so both ways are tested, and
    have what they take at their first batch.
    """
    golden, appearance, names = variant.golden, artifact.appearance, list(variant.golden.log_odds)[:most]
    pixels, size = artifact.golden_pixels(names), engine.preferred_batch_size
    batches = [pixels[start : start + size] for start in range(0, len(pixels), size)]
    outputs = [engine.run(batch, exclusive=number % 2 == 0) for number, batch in enumerate(batches)]
    for output, batch in zip(outputs, batches, strict=True):
        if output.evidence.ndim != 3 or len(output.evidence) != len(batch):
            raise GoldenOutputError(f"{artifact.path}: {variant.name} by {engine.name} gives no map for each image")
        if appearance and output.features.shape != (len(batch), appearance.mean.size):
            raise GoldenOutputError(
                f"{artifact.path}: {variant.name} by {engine.name} gives features {output.features.shape}"
            )
    output = concatenate(outputs)
    log_odds = artifact.manifest.pooling(output.whole)
    compared = [(name, "log-odds", value, golden.log_odds[name]) for name, value in zip(names, log_odds, strict=True)]
    if appearance:
        distances = appearance.distance(output.features) / variant.distance_scale
        compared += [
            (name, "a distance", far, golden.distances[name]) for name, far in zip(names, distances, strict=True)
        ]
    for name, what, found, expected in compared:
        tolerance = golden.tolerance if what == "log-odds" else golden.distance_tolerance * expected
        if not abs(found - expected) <= tolerance:
            raise GoldenOutputError(
                f"{artifact.path}: {variant.name} by {engine.name} on {engine.device} gives {name} {what} of "
                f"{found:.6f}, but {expected:.6f} at export (tolerance {tolerance:g})"
            )
