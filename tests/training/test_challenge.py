"""Challenge images are picked from those that the version decides rightly."""

from pathlib import Path

import pytest

from model.challenge import challenge_images, passes
from model.errors import DataError
from model.serving import Serving
from model.store import Store
from model.verdict import Thresholds, sigmoid
from tests.support.artifacts import publish
from tests.training.conftest import MakeFolder, quiet
from tests.training.predictions import prediction
from training.__main__ import main
from training.challenge import pick
from training.data.dataset import load_dataset
from training.evaluation.evaluate import predict_all
from training.evaluation.prediction import Prediction
from training.progress import Reporter
from training.serving_version import open_serving


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def reporter(told: list[str], monkeypatch: pytest.MonkeyPatch) -> Reporter:
    reporter = quiet()
    monkeypatch.setattr(reporter, "line", told.append)
    return reporter


def named(kind: str, *probabilities: float) -> list[Prediction]:
    return [prediction(kind, value, name=f"{kind}/{value}.png") for value in probabilities]


def test_picked_are_the_surest_the_hardest_and_some_between(told: list[str], reporter: Reporter) -> None:
    """Of what is decided rightly, and half a log-odds away from where it would be decided otherwise."""
    predictions = named("good", 0.01, 0.02, 0.03, 0.1, 0.3, 0.49, 0.9) + named("dent", 0.99, 0.51, 0.6, 0.7, 0.2)
    picked = pick(predictions, 3, reporter)
    assert [each.sample.name for each in picked] == [
        "good/0.01.png",
        "good/0.03.png",
        "good/0.3.png",
        "dent/0.99.png",
        "dent/0.7.png",
    ]
    assert told == []


def test_a_kind_without_a_right_decision_is_told(told: list[str], reporter: Reporter) -> None:
    picked = pick(named("good", 0.1) + named("dent", 0.9) + named("stain", 0.2, 0.45, 0.51), 5, reporter)
    assert [each.sample.kind for each in picked] == ["good", "dent"]
    (line,) = told
    assert line.startswith("warning: none of 3 images of kind stain is decided rightly and surely")


@pytest.mark.parametrize("probability", [0.1, 0.9])
def test_both_classes_are_needed(probability: float, reporter: Reporter) -> None:
    with pytest.raises(DataError, match="needs good images and defective ones that the version decides rightly"):
        pick(named("good", probability) + named("dent", probability), 5, reporter)


def test_thresholds_of_0_and_1_are_never_near(reporter: Reporter) -> None:
    extreme = prediction("good", 0.99)
    object.__setattr__(extreme, "thresholds", Thresholds(1.0, 1.0, 1.0))
    assert pick([extreme, *named("dent", 0.9)], 1, reporter)[0] is extreme


def test_the_command(
    make_folder: MakeFolder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Picked by the version that serves, at its own thresholds, copied to the bit."""
    data, root = make_folder(good=6, bad=3), tmp_path / "store"
    publish(root, "bolt", slope=1.0)
    monkeypatch.setattr("training.challenge.MARGIN", 0.01)  # a random network's log-odds lie close together
    store = Store(root)
    serving = open_serving(store, "bolt", None, "cpu")
    dataset = load_dataset(data, group=None, sample=None, seed=0, reporter=quiet())
    predictions = predict_all(serving.detector, dataset.samples, quiet())
    goods, defects = ([each.log_odds for each in predictions if each.sample.is_anomaly == bad] for bad in (False, True))
    store.set_serving("bolt", Serving(thresholds=sigmoid((min(goods) + max(defects)) / 2)))
    arguments = ["challenge", "--data", str(data), "--store", str(root), "--model", "bolt", "--device", "cpu"]
    assert main([*arguments, "--each", "2"]) == 0
    printed = capsys.readouterr()
    images = challenge_images(store.challenge("bolt"))
    assert f"{len(images)} challenge images of 'bolt' are in {store.challenge('bolt')}" in printed.out
    serving = open_serving(store, "bolt", None, "cpu")
    by_name = {
        each.sample.name.replace("/", "-"): each for each in predict_all(serving.detector, dataset.samples, quiet())
    }
    for image in images:
        original = by_name[image.path.name]
        assert passes(image.kind, original.decision)
        assert image.kind == original.sample.kind
        assert image.path.read_bytes() == original.sample.path.read_bytes()
    assert main(arguments) == 1
    assert "--replace" in capsys.readouterr().err
    assert main([*arguments, "--replace"]) == 0


def test_it_is_decided_under_serving_json(make_folder: MakeFolder, tmp_path: Path) -> None:
    """The gate's checks too: what the service lets pass is no review here."""
    publish(tmp_path, "bolt", limits={"brightness": (254.0, 255.0)}, slope=0.001)
    store, samples = (
        Store(tmp_path),
        load_dataset(make_folder(good=2, bad=1), group=None, sample=None, seed=0, reporter=quiet()).samples,
    )

    def decisions() -> set[str]:
        detector = open_serving(store, "bolt", None, "cpu").detector
        return {each.decision for each in predict_all(detector, samples, quiet())}

    store.set_serving("bolt", Serving(thresholds=1.0))
    assert decisions() == {"review"}
    store.set_serving("bolt", Serving(thresholds=1.0, checks={"brightness": "off"}))
    assert decisions() == {"accept"}
