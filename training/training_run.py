"""The input of a training run: images, recipe, post-processing method, and tools."""

from dataclasses import dataclass
from functools import cached_property

from model.preprocessing import Preprocessor, Resizing
from model.roi import Roi
from training.data.dataset import Dataset
from training.data.roi import roi_of
from training.data.training_set import Anomalies
from training.evaluation.post_processing import Method
from training.features.imagenet import Trunk
from training.features.input_images import InputImages
from training.progress import Reporter
from training.recipe import Recipe


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """Everything that `fit`, `crossval` and `curve` share, checked before anything is trained."""

    dataset: Dataset
    recipe: Recipe
    method: Method
    """How calibration, thresholds and heatmap scale are chosen, and whether masks may be used."""
    trunk: Trunk
    """ImageNet's convolutions, from which every network begins."""
    reporter: Reporter
    device: str = "cpu"
    """Where networks are run: cpu or cuda."""
    anomalies: Anomalies = "real"
    """Which anomalies are to be learnt from."""

    @cached_property
    def roi(self) -> Roi | None:
        """What of a frame counts; None: all. Raises DataError where too little is left."""
        return None if self.dataset.roi is None else roi_of(self.dataset.roi, *self.resizing.frame_size)

    @cached_property
    def images(self) -> InputImages:
        """The data set's images as the network sees them."""
        return InputImages(self.dataset.samples, self.preprocessor)

    @property
    def preprocessor(self) -> Preprocessor:
        """How every image becomes what the network sees."""
        return Preprocessor(self.resizing, self.roi)

    @property
    def resizing(self) -> Resizing:
        """How every image is resized."""
        recipe = self.recipe
        return Resizing(recipe.input_size, self.dataset.full_scale, recipe.reduced_decoding, recipe.frame)
