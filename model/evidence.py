"""From an evidence map to numbers: its pooling, and the heatmap that renders it."""

from dataclasses import dataclass, replace
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

FloatArray = NDArray[np.floating]


@dataclass(frozen=True)
class Pooling:
    """Top-k pooling: an image's log-odds are the mean of its strongest patches (Pang et al. 2021, equation 2)."""

    top_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    """Share of the patches whose mean is taken, at least one. 1 is global average pooling."""
    strongest: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Number of them in place of a share: a defect has as many patches in a large frame as in a small one."""

    def top_k(self, patches: int) -> int:
        """K, how many of a map's `patches` are averaged."""
        return max(1, round(self.top_share * patches)) if self.strongest is None else min(self.strongest, patches)

    def __call__(self, evidence: FloatArray) -> NDArray[np.float64]:
        """Evidence … ×h×w in log-odds to pooled log-odds …; float64, so that the sum's order doesn't show.

        Patches of −∞ don't count (`model.roi`).
        """
        flat = evidence.reshape(*evidence.shape[:-2], -1)
        if np.isneginf(flat).any():
            return np.apply_along_axis(self._of_some, -1, flat)
        count = flat.shape[-1]
        k = self.top_k(count)
        strongest = flat if k == count else np.partition(flat, count - k, axis=-1)[..., count - k :]
        return np.asarray(strongest.mean(axis=-1, dtype=np.float64))

    def _of_some(self, patches: FloatArray) -> NDArray[np.float64]:
        """Of those that count alone; without any, −∞."""
        some = patches[~np.isneginf(patches)]
        return self(some[np.newaxis]) if len(some) else np.asarray(-np.inf)


@dataclass(frozen=True)
class HeatmapScale:
    """One model's fixed rendering of evidence as brightness; never per image, so that values compare across images."""

    good_median: float
    """e_0: median evidence of held-out good patches; rendered nearly black (0.018)."""
    region_threshold: float
    """e_r: evidence from which a patch belongs to a region; rendered as 0.5. At most 5 % of held-out good images
    reach it."""
    smoothing: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Deviation of the Gaussian that a map is smoothed by before it is rendered, in patches; 0: it isn't."""

    def __post_init__(self) -> None:
        if not self.good_median < self.region_threshold:
            raise ValueError(
                f"the region threshold ({self.region_threshold}) must lie above the good median ({self.good_median})"
            )

    def __call__(self, evidence: FloatArray) -> NDArray[np.float32]:
        """value = sigmoid(4·(E − e_r)/(e_r − e_0)), in 0..1, of the same shape."""
        steepness = 4.0 / (self.region_threshold - self.good_median)
        exponent = np.clip(-steepness * (np.asarray(evidence, dtype=np.float64) - self.region_threshold), -60.0, 60.0)
        return np.asarray(1.0 / (1.0 + np.exp(exponent)), dtype=np.float32)

    def moved(self, by: float) -> "HeatmapScale":
        """The scale that renders evidence that is larger by so much alike."""
        return replace(self, good_median=self.good_median + by, region_threshold=self.region_threshold + by)

    def smoothed(self, evidence: NDArray[np.float32]) -> NDArray[np.float32]:
        """The evidence map h×w that is rendered."""
        return smooth(evidence, self.smoothing)

    def patch_values(self, evidence: NDArray[np.float32]) -> NDArray[np.float32]:
        """What one evidence map h×w is shown as, one value a patch, in 0..1."""
        return self(self.smoothed(evidence))

    def heatmap(self, evidence: NDArray[np.float32], longer: int) -> NDArray[np.float32]:
        """What one evidence map h×w is shown as, smoothed, and `enlarge`d until its longer side has so many pixels; 0
        where patches don't count (−∞, `model.roi`), and nowhere else."""
        evidence = self.smoothed(evidence)
        outside = np.isneginf(evidence)
        if not outside.any():
            return self(enlarge(evidence, longer))
        values = self(enlarge(self.known(evidence), longer))
        size = values.shape[::-1]
        values[np.asarray(Image.fromarray(outside).resize(size, Image.Resampling.NEAREST))] = 0.0
        return values

    def known(self, evidence: NDArray[np.float32]) -> NDArray[np.float32]:
        """The evidence, where a patch doesn't count that of an ordinary good one."""
        return np.where(np.isneginf(evidence), np.float32(self.good_median), evidence)


def smooth(evidence: NDArray[np.float32], deviation: float) -> NDArray[np.float32]:
    """Maps …×h×w, each patch the mean of all that count, weighted by a Gaussian of this deviation in patches; 0: as
    they are. Patches that don't count (−∞) stay so."""
    if not deviation:
        return evidence
    counts = ~np.isneginf(evidence)
    down, across = (_nearness(side, deviation) for side in evidence.shape[-2:])
    sums = down @ np.where(counts, evidence, 0.0) @ across  # float64, so that the sum's order doesn't show
    means = np.divide(sums, down @ counts @ across, out=np.full(evidence.shape, -np.inf), where=counts)
    return np.asarray(means, np.float32)


def _nearness(side: int, deviation: float) -> NDArray[np.float64]:
    """How much each of so many patches in a row counts at each other, side×side."""
    position = np.arange(side)
    return np.asarray(np.exp(-0.5 * np.square((position - position[:, np.newaxis]) / deviation)))


def enlarge(evidence: NDArray[np.float32], longer: int) -> NDArray[np.float32]:
    """One map h×w, bilinearly interpolated until its longer side has so many pixels: what heatmap and regions are drawn
    from."""
    height, width = evidence.shape
    most = max(height, width)
    return interpolate(evidence, round(longer * width / most), round(longer * height / most))


def interpolate(evidence: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """One map h×w, bilinearly interpolated to width×height."""
    return np.asarray(Image.fromarray(evidence).resize((width, height), Image.Resampling.BILINEAR))
