"""Two engines as one: a narrow network clears good images, and the full one decides on all others."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.appearance import Appearance, unit
from model.artifact import Artifact
from model.engines.engine import Engine, open_network
from model.engines.output import NetworkOutput
from model.evidence import Pooling
from model.manifest import Cascade, EngineName, Variant
from model.roi import Roi
from model.terms import Terms


@dataclass(frozen=True, eq=False)
class CascadeEngine:
    """For images of one tile. An image that the narrow network takes for clearly good, and that looks to it as training
    images do, is not shown to the full one."""

    narrow: Engine
    full: Engine
    cascade: Cascade
    pooling: Pooling
    clear_below: float
    """Pooled evidence, on the full network's scale, up to which an image is cleared."""
    appearance: Appearance | None
    """What images look like to the gate; None: there is none."""
    farthest: float
    """Largest distance, on the full network's scale, of an image that is cleared."""
    scale: float
    """What distances of the full network's features are divided by (`model.manifest.Variant.distance_scale`)."""
    roi: Roi | None
    """Where an image counts; None: everywhere."""

    @property
    def name(self) -> EngineName:
        return self.full.name

    @property
    def device(self) -> str:
        return self.full.device

    @property
    def max_concurrency(self) -> int:
        return self.full.max_concurrency

    @property
    def preferred_batch_size(self) -> int:
        return self.full.preferred_batch_size

    def run(self, pixels: NDArray[np.uint8], *, exclusive: bool = True) -> NetworkOutput:
        """See `Engine.run`."""
        found = self.on_full_scale(self.narrow.run(pixels, exclusive=exclusive))
        cleared = self.cleared(found)
        found, unsure = found._replace(cleared=cleared), np.flatnonzero(~cleared)
        if not len(unsure):
            return found
        decided = self.full.run(pixels[unsure], exclusive=exclusive)
        if len(unsure) == len(pixels):
            return decided._replace(cleared=cleared)
        for own, others in zip(found, decided, strict=True):
            if own is not None and others is not None:
                own[unsure] = others
        return found

    def on_full_scale(self, output: NetworkOutput) -> NetworkOutput:
        """The narrow network's output as the full one gives its own. Distances are measured from the mean of features
        of length 1."""
        cascade, features = self.cascade, output.features
        if self.appearance is not None:
            mean = self.appearance.mean
            features = mean + (unit(features) - mean) * np.float32(self.scale / cascade.distance_scale)
        return NetworkOutput(
            np.asarray(cascade.slope * output.evidence + cascade.offset, np.float32),
            features,
            None if output.context is None else np.asarray(cascade.slope * output.context, np.float32),
        )

    def cleared(self, output: NetworkOutput) -> NDArray[np.bool_]:
        """Which images; what is no number isn't."""
        evidence = output.whole
        if self.roi is not None and np.isfinite(evidence).all():
            evidence = np.stack([self.roi.exclude(each) for each in evidence])
        cleared = self.pooling(evidence) <= self.clear_below
        if self.appearance is not None:
            cleared &= self.appearance.distance(output.features) / self.scale <= self.farthest
        return np.asarray(cleared)


def open_cascade(artifact: Artifact, variant: Variant, cascade: Cascade, name: EngineName) -> CascadeEngine:
    """Both of a version's networks, on the CPU. Raises as `open_network` does."""
    manifest = artifact.manifest
    narrow, full = (
        open_network(artifact, file, variant.name, "cpu", name) for file in (cascade.files[name], variant.files[name])
    )
    return CascadeEngine(
        narrow,
        full,
        cascade,
        manifest.pooling,
        Terms(manifest, variant).clear_below(cascade),
        artifact.appearance,
        manifest.gate.limits["appearance"][1] if manifest.gate else np.inf,
        variant.distance_scale,
        artifact.roi,
    )
