"""From data to a version: train, measure on what was held out, report, export."""

import shlex

from model.program import program
from model.store import Store
from training.estimators.estimator import PreparedEstimator, steps
from training.evaluation.data_warnings import data_warnings
from training.evaluation.evaluate import Evaluation
from training.evaluation.figures import measure, table
from training.export.version import export
from training.pipeline import fit_pipeline
from training.report.builders import run_report
from training.report.report import LearningCurve
from training.synthetic.samples import KIND
from training.training_run import TrainingRun


def fit(
    estimator: PreparedEstimator,
    run: TrainingRun,
    store: Store,
    model: str,
    learning_curve: LearningCurve | None = None,
) -> Evaluation:
    """Train, measure, publish, and say where it is and how to use it. `learning_curve`: for the report.

    Raises DataError or ErrorBoundError where there are too few images, StoreError, or ArtifactError where what was
    written doesn't load.
    """
    reporter = run.reporter
    with reporter.task("training", steps(estimator)) as advance:
        pipeline = fit_pipeline(estimator, run.method, advance)
    with reporter.task("measuring", 1):
        figures = measure(pipeline.predictions, pipeline.protocol)
    warnings = data_warnings(figures, pipeline.training_set.anomalies == "synthetic")
    about = "the version that was exported with this page: its number is its folder's name in the store"
    report = run_report(run, model, about, pipeline.predictions, figures).amended(
        warnings=warnings,
        thresholds=pipeline.post_processor.thresholds,
        one_network=run.recipe.inner_folds == 0,
        learning_curve=learning_curve,
        trunk_choice=pipeline.trunk_choice,
    )
    path = export(run, pipeline, store, model, report)
    reporter.line(f"\nversion {path.name} of {model!r} is in {path}\n{table(figures)}")
    for warning in warnings:
        reporter.line(f"warning: {warning}")
    real = [prediction for prediction in pipeline.predictions if prediction.sample.kind != KIND]
    worst = max(real, key=lambda prediction: prediction.probability).sample.path
    reporter.line(
        f"\nlook at it: {path / 'report' / 'report.html'}\n"
        f"serve it:   {program('app')} serve --store {shlex.quote(str(store.root))}\n"
        f"then:       curl -F file=@{shlex.quote(str(worst))} http://127.0.0.1:8000/v1/models/{model}/predict"
    )
    return Evaluation(path, figures, pipeline.predictions, trunk_choice=pipeline.trunk_choice)
