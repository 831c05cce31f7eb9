"""From an evidence map to numbers: pooling, and the picture of it."""

from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

FloatArray = NDArray[np.floating]


@dataclass(frozen=True)
class Pooling:
    """How the verdict's log-odds come from the map: the mean of its strongest places (Pang et al. 2021, equation 2)."""

    share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    """Of all places; at least one counts. 1 is global average pooling."""

    def places(self, count: int) -> int:
        """K, how many of a map's `count` places count."""
        return max(1, round(self.share * count))

    def __call__(self, evidence: FloatArray) -> NDArray[np.float64]:
        """Evidence … ×h×w in log-odds to pooled log-odds …; float64, so that the sum's order doesn't show."""
        flat = evidence.reshape(*evidence.shape[:-2], -1)
        count = flat.shape[-1]
        chosen = self.places(count)
        strongest = flat if chosen == count else np.partition(flat, count - chosen, axis=-1)[..., count - chosen :]
        return np.asarray(strongest.mean(axis=-1, dtype=np.float64))


@dataclass(frozen=True)
class HeatmapScale:
    """One model's fixed rendering of evidence as brightness; never per image, so that values compare across images."""

    dark: float
    """e_0: the median evidence of held-out good places; drawn nearly black (0.018)."""
    region: float
    """e_r: the evidence from which a place belongs to a region; drawn as 0.5. At most 5 % of held-out good images
    reach it."""

    def __post_init__(self) -> None:
        if not self.dark < self.region:
            raise ValueError(f"the region level ({self.region}) must lie above the dark level ({self.dark})")

    def __call__(self, evidence: FloatArray) -> NDArray[np.float32]:
        """value = sigmoid(4·(E − e_r)/(e_r − e_0)), in 0..1, of the same shape."""
        steepness = 4.0 / (self.region - self.dark)
        exponent = np.clip(-steepness * (np.asarray(evidence, dtype=np.float64) - self.region), -60.0, 60.0)
        return np.asarray(1.0 / (1.0 + np.exp(exponent)), dtype=np.float32)


def enlarge(evidence: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """One map h×w, bilinearly interpolated to size×size: what picture and regions are drawn from."""
    return np.asarray(Image.fromarray(evidence).resize((size, size), Image.Resampling.BILINEAR))
