"""What an engine is, and how one is opened for a version."""

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from model.artifact import Artifact
from model.errors import DeviceUnavailableError, GoldenOutputError
from model.manifest import Variant

Device = Literal["cpu", "cuda"]
DeviceChoice = Literal["auto", "cpu", "cuda"]


class Engine(Protocol):
    """Runs one version's network on one device, from one thread at a time."""

    @property
    def name(self) -> str:
        """The engine's name: torch."""

    @property
    def device(self) -> str:
        """cpu or cuda."""

    def evidence(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 N×S×S×3 to evidence maps N×h×w in log-odds.

        Raises DeviceMemoryError or EngineError.
        """


def choose_device(device: DeviceChoice) -> Device:
    """CUDA for "auto" where there is any. Raises DeviceUnavailableError where "cuda" is asked for and isn't there."""
    if device == "cpu":
        return "cpu"
    from model.engines.pytorch import cuda_available  # torch is imported only where it is used

    if not cuda_available() and device == "cuda":
        raise DeviceUnavailableError("device cuda was asked for, but PyTorch sees no CUDA device; use cpu or auto")
    return "cuda" if cuda_available() else "cpu"


def open_engine(artifact: Artifact, variant: Variant, device: Device) -> Engine:
    """Open the version's network in the variant's numeric form.

    Raises what `read_weights` raises, or EngineError.
    """
    from model.engines.pytorch import TorchEngine

    return TorchEngine(artifact.file(variant.files["torch"]), artifact.manifest.network, variant.name, device)


def replay_golden(engine: Engine, artifact: Artifact, variant: Variant) -> None:
    """Run the golden images. Raises GoldenOutputError where log-odds are off by more than the variant's tolerance."""
    names = list(variant.golden.log_odds)
    maps = engine.evidence(artifact.golden_pixels(names))
    for name, found in zip(names, artifact.manifest.pooling(maps), strict=True):
        expected = variant.golden.log_odds[name]
        if not abs(found - expected) <= variant.golden.tolerance:
            raise GoldenOutputError(
                f"{artifact.path}: {variant.name} on {engine.device} gives {name} log-odds of {found:.6f}, "
                f"but {expected:.6f} at export (tolerance {variant.golden.tolerance:g})"
            )
