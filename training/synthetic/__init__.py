"""Defects made from good images alone, each with the mask of what it changed: for training without real ones.

Nothing here knows the product: every kind reworks the pixels of the image at one position. Sizes are those of an image
448 pixels wide and scale with it.
"""

from training.synthetic.anomaly import KINDS, Kind, make_anomaly
from training.synthetic.foreground import foreground
from training.synthetic.samples import SyntheticSamples, synthesise

__all__ = ["KINDS", "Kind", "SyntheticSamples", "foreground", "make_anomaly", "synthesise"]
