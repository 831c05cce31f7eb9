"""From the command line's arguments to a training run that is checked, and then prepared."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from model.engines.devices import choose_device
from training.cli_validation import check_error_bounds_of_folds, check_training, default_rule, rule_of
from training.data.dataset import Dataset, load_dataset
from training.data.splits import Split, make_folds
from training.estimators.estimator import PreparedEstimator
from training.estimators.factory import estimator_for
from training.evaluation.drift import PARTS_PER_FALSE_ALARM
from training.evaluation.post_processing import ODD_RATE
from training.evaluation.thresholds import Rule
from training.export.disk_space import check_room
from training.features.imagenet import imagenet_trunk
from training.progress import Reporter
from training.recipe import Recipe, read_recipe
from training.report.results import check_writable
from training.resolution import with_frame
from training.training_run import TrainingRun


@dataclass(frozen=True)
class Task:
    """What is to be learnt from which images."""

    recipe: Recipe
    rule: Rule
    dataset: Dataset
    splits: Sequence[Split]
    """Divisions of the images by whose training parts thresholds are chosen; crossval's are its folds."""


def check_task(arguments: argparse.Namespace, reporter: Reporter) -> Task:
    """Check everything that can be wrong, before anything is trained."""
    recipe = read_recipe(arguments.preset, seed=arguments.seed, trunk=arguments.trunk, resolution=arguments.resolution)
    check_training(arguments, recipe)
    check_writable(arguments.json, getattr(arguments, "report", None))
    dataset = load_dataset(
        arguments.data, group=arguments.group, sample=arguments.sample, seed=recipe.seed, reporter=reporter
    )
    recipe, sentences = with_frame(recipe, dataset.samples, dataset.sizes)
    for sentence in sentences:
        reporter.line(sentence)
    rule = rule_of(arguments) or default_rule(arguments.anomalies, dataset.samples)
    splits = _splits(arguments, recipe, dataset)
    check_error_bounds_of_folds(rule, dataset.samples, [[dataset.samples[i] for i in split.train] for split in splits])
    return Task(recipe, rule, dataset, splits)


def _splits(arguments: argparse.Namespace, recipe: Recipe, dataset: Dataset) -> list[Split]:
    """`Task.splits`. Raises DataError where a fold would have too few images, or groups of them."""
    estimator = estimator_for(recipe)
    if arguments.command == "fit":
        return estimator.splits(dataset.samples, arguments.anomalies)
    folds = arguments.folds if arguments.command == "crossval" else arguments.draws
    splits = make_folds(dataset.samples, folds, recipe.seed)
    if arguments.anomalies != "synthetic":
        for split in splits:
            estimator.check_fold(dataset.samples, split)
    return splits


def prepare_run(
    arguments: argparse.Namespace, task: Task, reporter: Reporter, version_folder: Path | None = None
) -> tuple[TrainingRun, PreparedEstimator]:
    """The run, and its estimator with the features of every image.

    `version_folder`: where a version will be written, if one will; room for it is looked for first.
    """
    check_room(task.recipe, task.dataset.samples, arguments.anomalies, version_folder)
    estimator = estimator_for(task.recipe)
    run = TrainingRun(
        dataset=task.dataset,
        recipe=task.recipe,
        method=replace(
            estimator.method(
                task.dataset.samples,
                task.rule,
                defect_rate=arguments.defect_rate,
                use_masks=arguments.masks == "auto",
            ),
            odd_rate=getattr(arguments, "odd_rate", None) or ODD_RATE,
            parts_per_false_alarm=getattr(arguments, "parts_per_false_alarm", None) or PARTS_PER_FALSE_ALARM,
        ),
        trunk=imagenet_trunk(arguments.weights, say=reporter.line),
        reporter=reporter,
        device=choose_device(arguments.device),
        anomalies=arguments.anomalies,
    )
    return run, estimator.prepare(run)
