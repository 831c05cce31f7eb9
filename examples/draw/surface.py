"""A surface seen from straight above, lit from the upper left."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from examples.draw.field import Field

EYE = np.array([0, 0, 1], dtype=np.float32)
LIGHT = np.array([-0.16, -0.62, 0.768], dtype=np.float32)
HALFWAY = (LIGHT + EYE) / np.linalg.norm(LIGHT + EYE)
AMBIENT = 0.42
CAVITY_REACH = 0.012


@dataclass(frozen=True)
class Surface:
    """Height H×W towards the camera in pixels, albedo H×W×3 and gloss H×W, both 0 to 1."""

    height: Field
    albedo: Field
    gloss: Field

    def scene(self) -> Field:
        """Brightness H×W×3, about 0 to 1: ambient and Lambert's diffuse light, hollows darker, Blinn's highlight."""
        slope_y, slope_x = np.gradient(self.height)
        steepness = np.sqrt(slope_x**2 + slope_y**2 + 1)
        facing = np.clip((LIGHT[2] - LIGHT[0] * slope_x - LIGHT[1] * slope_y) / steepness, 0, 1)
        mirror = np.clip((HALFWAY[2] - HALFWAY[0] * slope_x - HALFWAY[1] * slope_y) / steepness, 0, 1)
        reach = CAVITY_REACH * len(self.height)
        hollow = np.clip(ndimage.gaussian_filter(self.height, reach) - self.height, 0, None) / reach
        diffuse = (AMBIENT + (1 - AMBIENT) * facing / LIGHT[2]) / (1 + 0.7 * hollow)
        highlight = self.gloss * (0.75 * mirror**70 + 0.25 * mirror**12)
        shaded: Field = self.albedo * diffuse[..., None] + highlight[..., None]
        return shaded.astype(np.float32)
