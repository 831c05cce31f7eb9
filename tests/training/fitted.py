"""A version and what it was made from, for tests that what is served is what was trained."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.detector import Detector, load_detector
from model.store import Store
from training.estimators.estimator import PreparedEstimator
from training.estimators.factory import estimator_for
from training.estimators.image_head import add_image_head
from training.fit import fit
from training.pipeline import FittedPipeline, fit_pipeline
from training.progress import no_progress
from training.recipe import Patches
from training.training_run import TrainingRun


@dataclass(frozen=True)
class Fit:
    estimator: PreparedEstimator
    pipeline: FittedPipeline
    version: Path

    @staticmethod
    def of(run: TrainingRun, store: Path, model: str) -> "Fit":
        """The run's pipeline, and the version that it writes into `store`."""
        estimator = estimator_for(run.recipe).prepare(run)
        version = fit(estimator, run, Store(store), model).version
        return Fit(estimator, fit_pipeline(estimator, run.method, no_progress), version)

    @property
    def recipe(self) -> Patches:
        assert isinstance(self.estimator.recipe, Patches)
        return self.estimator.recipe

    def detector(self, engine: str = "torch", variant: str = "float32") -> Detector:
        return load_detector(self.version, "cpu", engine=engine, variant=variant)  # type: ignore[arg-type]

    def trained(self) -> Iterator[tuple[NDArray[np.float32], float]]:
        """Evidence map with the image head, and distance of the appearance, of each real sample, as training has it."""
        pipeline = self.pipeline
        real = pipeline.training_set.real
        weight = pipeline.post_processor.head.verdict
        maps = add_image_head(pipeline.model.evidence(real), pipeline.model.image_log_odds(real), weight)
        return zip(maps, pipeline.appearance.distance(pipeline.model.features(real)), strict=True)
