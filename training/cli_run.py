"""From the command line's arguments to a training run that is checked, and then prepared."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from model.engines.devices import choose_device
from model.errors import RecipeError
from training.cli_validation import check_error_bounds_of_folds, check_training, default_rule, rule_of
from training.data.dataset import Dataset, load_dataset
from training.data.samples import ROI_FILE
from training.data.splits import Split, make_folds
from training.estimators.estimator import FoldPredictor, PreparedEstimator
from training.estimators.factory import estimator_for
from training.evaluation.drift import PARTS_PER_FALSE_ALARM
from training.evaluation.post_processing import ODD_RATE, Method
from training.evaluation.thresholds import Rule
from training.export.disk_space import check_room
from training.features.imagenet import imagenet_trunk
from training.progress import Reporter
from training.recipe import Patches, Recipe, read_recipe
from training.report.results import check_writable
from training.resolution import larger_frames, with_frame
from training.resolution_trial import PreparedResolutions, prepare_trial
from training.training_run import TrainingRun


@dataclass(frozen=True)
class Task:
    """What is to be learnt from which images."""

    recipe: Recipe
    rule: Rule
    dataset: Dataset
    splits: Sequence[Split]
    """Divisions of the images by whose training parts thresholds are chosen; crossval's are its folds."""
    input_size: int
    """The preset's, before a frame was chosen."""
    larger: Sequence[Patches] = ()
    """The recipe with larger frames, that are to be tried (`training.resolution_trial`)."""


def check_task(arguments: argparse.Namespace, reporter: Reporter) -> Task:
    """Check everything that can be wrong, before anything is trained."""
    recipe = read_recipe(arguments.preset, seed=arguments.seed, trunk=arguments.trunk, resolution=arguments.resolution)
    check_training(arguments, recipe)
    check_writable(arguments.json, getattr(arguments, "report", None))
    dataset = load_dataset(
        arguments.data, group=arguments.group, sample=arguments.sample, seed=recipe.seed, reporter=reporter
    )
    input_size = recipe.input_size
    larger = larger_frames(recipe, dataset.samples, dataset.sizes) if arguments.anomalies != "synthetic" else []
    recipe, sentences = with_frame(recipe, dataset.samples, dataset.sizes)
    frames = [each.frame for each in (recipe, *larger)]
    if dataset.roi is not None and any(frame is not None and frame.scale is not None for frame in frames):
        raise RecipeError(
            f"{ROI_FILE} lies in images of one size: it can't be had where each image is scaled by one factor to a "
            'frame of its own (images of many sizes with --resolution, or other_sizes = "same-scale")'
        )
    for sentence in sentences if not larger else ():
        reporter.line(sentence)
    rule = rule_of(arguments) or default_rule(arguments.anomalies, dataset.samples)
    splits = _splits(arguments, recipe, dataset)
    check_error_bounds_of_folds(rule, dataset.samples, [[dataset.samples[i] for i in split.train] for split in splits])
    return Task(recipe, rule, dataset, splits, input_size, larger)


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
    arguments: argparse.Namespace, task: Task, reporter: Reporter, version_folder: Path
) -> tuple[TrainingRun, PreparedEstimator]:
    """The run, and its estimator with the features of every image; where resolutions are to be tried, the chosen one's.

    `version_folder`: where a version will be written; room for it is looked for first.
    """
    runs = _runs(arguments, task, reporter, version_folder)
    if len(runs) > 1:
        choice = prepare_trial(runs, task.input_size).choose(np.arange(len(task.dataset.samples)))
        reporter.line(choice.sentence)
        runs = [run for run in runs if run.recipe == choice.recipe]
    return runs[0], estimator_for(runs[0].recipe).prepare(runs[0])


def prepare_folds(arguments: argparse.Namespace, task: Task, reporter: Reporter) -> tuple[TrainingRun, FoldPredictor]:
    """The run, and what predicts its folds: where resolutions are to be tried, each fold's is chosen within what it
    learns from."""
    runs = _runs(arguments, task, reporter)
    if len(runs) > 1:
        return runs[0], PreparedResolutions(runs, prepare_trial(runs, task.input_size))
    return runs[0], estimator_for(runs[0].recipe).prepare(runs[0])


def _runs(
    arguments: argparse.Namespace, task: Task, reporter: Reporter, version_folder: Path | None = None
) -> list[TrainingRun]:
    """The run by each recipe that may be taken, the cheapest first."""
    recipes = [task.recipe, *task.larger]
    for recipe in recipes:
        check_room(recipe, task.dataset.samples, arguments.anomalies, version_folder)
    trunk, device = imagenet_trunk(arguments.weights, say=reporter.line), choose_device(arguments.device)
    return [
        TrainingRun(
            dataset=task.dataset,
            recipe=recipe,
            method=_method(arguments, task, recipe),
            trunk=trunk,
            reporter=reporter,
            device=device,
            anomalies=arguments.anomalies,
        )
        for recipe in recipes
    ]


def _method(arguments: argparse.Namespace, task: Task, recipe: Recipe) -> Method:
    method = estimator_for(recipe).method(
        task.dataset.samples, task.rule, defect_rate=arguments.defect_rate, use_masks=arguments.masks == "auto"
    )
    return replace(
        method,
        odd_rate=getattr(arguments, "odd_rate", None) or ODD_RATE,
        parts_per_false_alarm=getattr(arguments, "parts_per_false_alarm", None) or PARTS_PER_FALSE_ALARM,
    )
