"""From data to a version: train, measure on what was held out, report, export."""

import shlex
from pathlib import Path

from model.program import program
from model.store import Store
from training.data.dataset import Dataset
from training.estimators.estimator import Learner
from training.evaluation.data_warnings import data_warnings
from training.evaluation.evaluate import Evaluation
from training.evaluation.figures import measure, table
from training.evaluation.post_processing import Method
from training.export.version import export
from training.features.imagenet import Trunk
from training.pipeline import steps, train
from training.progress import Reporter
from training.recipe import Recipe
from training.report import LearningCurve
from training.report.reporting import report_of_training
from training.synthetic.samples import KIND


def fit(
    learner: Learner,
    found: Dataset,
    trunk: Trunk,
    recipe: Recipe,
    method: Method,
    store: Store,
    model: str,
    reporter: Reporter,
    learning_curve: LearningCurve | None = None,
) -> Evaluation:
    """Train, measure, publish, and say where it is and how to use it. `learning_curve`: for the report.

    Raises DataError or ErrorBoundError where there are too few images, StoreError, or ArtifactError where what was
    written doesn't load.
    """
    material = learner.material
    with reporter.task("training", steps(learner, recipe)) as advance:
        trained = train(learner, material.real, recipe, method, advance)
    with reporter.task("measuring", 1):
        figures = measure(trained.predictions, trained.how)
    cautions = data_warnings(figures, material.anomalies == "synthetic")

    def write_report(folder: Path) -> None:
        report_of_training(
            folder,
            model=model,
            about="the version that was exported with this page: its number is its folder's name in the store",
            found=found,
            recipe=recipe,
            method=method,
            predictions=trained.predictions,
            figures=figures,
            seconds=reporter.seconds,
            warnings=cautions,
            thresholds=trained.judge.thresholds,
            learning_curve=learning_curve,
        )

    with reporter.task("export, with int8", len(found.samples)) as advance:
        path = export(store, model, found, material, trained, recipe, method, figures, trunk, write_report, advance)
    reporter.line(f"\nversion {path.name} of {model!r} is in {path}\n{table(figures)}")
    for caution in cautions:
        reporter.line(f"warning: {caution}")
    real = [each for each in trained.predictions if each.sample.kind != KIND]
    worst = max(real, key=lambda prediction: prediction.probability).sample.path
    reporter.line(
        f"\nlook at it: {path / 'report' / 'report.html'}\n"
        f"serve it:   {program('app')} serve --store {shlex.quote(str(store.root))}\n"
        f"then:       curl -F file=@{shlex.quote(str(worst))} http://127.0.0.1:8000/v1/models/{model}/predict"
    )
    return Evaluation(path, figures, trained.predictions)
