"""From data to a version: what is exported is what was measured, and nothing appears by halves."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from model.detector import load_detector
from model.errors import StoreError
from model.store import Store
from tests.training.conftest import quiet
from training import export as exporting
from training.evaluate import evaluate, judge
from training.fit import fit
from training.recipe import Recipe
from training.split import hold_out
from training.trial import Prepared, run_trial


def fitted(data: Prepared, recipe: Recipe, store: Store) -> Path:
    return fit(data, hold_out(data.samples, recipe.held_out, recipe.seed), recipe, store, "spots", quiet()).version


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory, data: Prepared, recipe: Recipe) -> Path:
    return fitted(data, recipe, Store(tmp_path_factory.mktemp("store")))


def test_the_version_says_how_it_was_made_and_how_good_it_is(version: Path, data: Prepared, recipe: Recipe) -> None:
    assert (version.parent.name, version.name) == ("spots", "1")
    manifest = load_detector(version, "cpu").manifest
    assert manifest.data.kinds == {"good": 12, "scratch": 5, "spot": 5}
    assert manifest.data.defect_share == pytest.approx(10 / 22)
    assert manifest.data.fingerprint == data.survey.fingerprint
    assert manifest.recipe["learning_rate"] == recipe.learning_rate
    assert manifest.figures is not None
    assert manifest.figures.how == "6 held-out images (seed 7), trained on 16 others"
    assert 2 <= len(manifest.variant("float32").golden.log_odds) <= 4
    assert manifest.libraries.keys() >= {"python", "torch", "pillow"}


def test_what_is_served_is_what_was_measured(version: Path, data: Prepared, recipe: Recipe) -> None:
    """Every held-out image, from its file through the exported network, alone."""
    trial = run_trial(data, hold_out(data.samples, recipe.held_out, recipe.seed), recipe)
    detector = load_detector(version, "cpu")
    assert len(trial.predictions) == 6
    for prediction in trial.predictions:
        assert judge(detector, prediction.sample).probability == pytest.approx(prediction.probability, abs=1e-5)


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))])
def test_an_interrupted_export_leaves_no_version(
    data: Prepared, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    def half(path: Path, *_: object) -> None:
        (path / "weights.safetensors").write_bytes(b"half")
        raise failure

    monkeypatch.setattr(exporting, "write_artifact", half)
    expected = KeyboardInterrupt if isinstance(failure, KeyboardInterrupt) else StoreError
    store = Store(tmp_path)
    with pytest.raises(expected):
        fitted(data, recipe, store)
    assert store.models() == []
    assert list((store.root / "spots").iterdir()) == []


def test_evaluate_gives_the_services_answers(version: Path, data: Prepared) -> None:
    evaluation = evaluate(version, data.survey, "cpu", quiet())
    assert [prediction.sample.name for prediction in evaluation.predictions] == [s.name for s in data.samples]
    assert evaluation.figures.how == "22 images by version 1 of 'spots'"
    probabilities = np.array([prediction.probability for prediction in evaluation.predictions])
    assert probabilities[data.is_anomaly].mean() > probabilities[~data.is_anomaly].mean()
