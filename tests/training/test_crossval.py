import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from model.manifest import Figures
from tests.training.conftest import quiet
from training.crossval import cross_validate, summary
from training.recipe import Recipe
from training.results import write_results
from training.split import Split, make_folds
from training.trial import Prepared, run_trial


def counts(figures: Figures) -> int:
    return figures.true_positives + figures.true_negatives + figures.false_positives + figures.false_negatives


def test_every_image_is_judged_once_and_written_down(data: Prepared, recipe: Recipe, tmp_path: Path) -> None:
    result = cross_validate(data, make_folds(data.samples, 3, 0), recipe, quiet())
    assert [prediction.sample.name for prediction in result.predictions] == [sample.name for sample in data.samples]
    assert counts(result.pooled) == 22 == sum(counts(fold) for fold in result.folds)
    assert result.pooled.good_with_region is not None
    write_results(tmp_path / "r.json", summary(result, data, recipe, {"frozen blocks": 1.0}), result.predictions)
    report = json.loads((tmp_path / "r.json").read_bytes())
    assert report["preset"] == "tiny"
    assert len(report["folds"]) == 3
    for row, sample in zip(report["images"], data.samples, strict=True):
        assert set(row) == {"path", "kind", "label", "probability", "threshold", "fold"}
        assert (row["path"], row["kind"]) == (sample.name, sample.kind)
        assert row["label"] == ("anomaly" if sample.is_anomaly else "good")
        assert 0 <= row["probability"] <= 1
        assert row["fold"] in {1, 2, 3}


def test_labels_of_the_test_part_change_no_prediction(data: Prepared, recipe: Recipe) -> None:
    split = Split(np.arange(4, 22), np.arange(4))
    flipped = [
        replace(sample, kind="good" if sample.is_anomaly else "spot") if i < 4 else sample
        for i, sample in enumerate(data.samples)
    ]
    swapped = replace(data, survey=replace(data.survey, samples=flipped))
    # levels of the picture need good images in the test part; the first four are good, so keep two of them
    swapped.survey.samples[0], swapped.survey.samples[1] = data.samples[0], data.samples[1]
    before, after = run_trial(data, split, recipe), run_trial(swapped, split, recipe)
    assert [p.probability for p in before.predictions] == [p.probability for p in after.predictions]
    assert [p.thresholds for p in before.predictions] == [p.thresholds for p in after.predictions]
    assert [p.is_right for p in before.predictions] != [p.is_right for p in after.predictions]
