"""From data to a version: hold some images out, train on the rest, measure, export."""

import shlex

from model.store import Store
from training.evaluate import Evaluation
from training.export import export
from training.figures import measure, table
from training.levels import with_darkness
from training.progress import Reporter
from training.recipe import Recipe
from training.split import Split
from training.trial import Prepared, run_trial


def fit(data: Prepared, split: Split, recipe: Recipe, store: Store, model: str, reporter: Reporter) -> Evaluation:
    """Train on one part, measure on the other, publish, and say where it is and how to use it.

    Raises StoreError, or ArtifactError where what was written doesn't load.
    """
    with reporter.task("training", recipe.epochs) as advance:
        trial = run_trial(data, split, recipe, advance)
    how = f"{len(split.test)} held-out images (seed {recipe.seed}), trained on {len(split.train)} others"
    figures = with_darkness(measure(trial.predictions, how), [trial.darkness])
    with reporter.task("export", 1):
        path = export(store, model, data, trial, recipe, figures)
    worst = max(trial.predictions, key=lambda prediction: prediction.probability).sample.path
    reporter.line(
        f"\nversion {path.name} of {model!r} is in {path}\n{table(figures)}\n\n"
        f"serve it:   python -m app serve --store {shlex.quote(str(store.root))}\n"
        f"then:       curl -F file=@{shlex.quote(str(worst))} http://127.0.0.1:8000/v1/models/{model}/predict"
    )
    return Evaluation(path, figures, trial.predictions)
