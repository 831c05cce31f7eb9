from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.errors import DataError
from tests.training.conftest import MakeFolder, quiet
from training.dataset import kinds_of
from training.recipe import Recipe
from training.split import hold_out
from training.trial import Prepared, read_data, run_trial, uncalibrated


@pytest.mark.parametrize("count", [10, 21, 22, 40])
def test_a_sample_keeps_the_kinds_in_proportion(make_folder: MakeFolder, count: int) -> None:
    found = read_data(make_folder(), group=None, sample=count, seed=3, reporter=quiet())
    kinds = kinds_of(found.samples)
    assert len(found.samples) == min(count, 22)
    assert abs(kinds["good"] - min(count, 22) * 12 / 22) < 1
    assert abs(kinds["scratch"] - kinds["spot"]) <= 1


def test_a_sample_has_rare_kinds_and_is_decided_by_the_seed(make_folder: MakeFolder) -> None:
    root = make_folder(good=40, bad=1)
    names = [
        [sample.name for sample in read_data(root, group=None, sample=10, seed=seed, reporter=quiet()).samples]
        for seed in (1, 1, 2)
    ]
    assert Counter(Path(name).parent.name for name in names[0]) == {"good": 8, "scratch": 1, "spot": 1}
    assert names[0] == names[1] != names[2]


def test_a_sample_that_can_not_hold_every_kind_is_refused(make_folder: MakeFolder) -> None:
    with pytest.raises(DataError, match="--sample 2: there are 3 kinds"):
        read_data(make_folder(), group=None, sample=2, seed=0, reporter=quiet())


def test_class_weights_say_at_what_share_the_probabilities_hold(recipe: Recipe) -> None:
    assert uncalibrated(0.3, recipe).defect_share == pytest.approx(0.3)
    weighted = Recipe(**{**recipe.as_dict(), "class_weights": (1.0, 3.0), "pooling": recipe.pooling})
    assert uncalibrated(0.25, weighted).defect_share == pytest.approx(0.5)


def test_masks_and_good_images_alone_make_the_pictures_levels(data: Prepared, recipe: Recipe) -> None:
    split = hold_out(data.samples, recipe.held_out, recipe.seed)
    trial = run_trial(data, split, recipe)
    unmasked = replace(data, survey=replace(data.survey, samples=[replace(s, mask=None) for s in data.samples]))
    without = run_trial(unmasked, split, recipe)
    assert without.scale.dark == trial.scale.dark
    assert without.scale.region <= trial.scale.region
    good = [i for i in split.test if not data.is_anomaly[i]]
    only_good = run_trial(unmasked, replace(split, test=np.array(good)), recipe)
    assert only_good.scale == without.scale
