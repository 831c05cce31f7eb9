"""Without masks resolutions are tried: more work is taken where it is clearly better, by what may be learnt from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace as replace_recipe
from PIL import Image

from model.evidence import Pooling
from tests.training.conftest import OWN_PATCHES, save, tiny_patches, training_run
from training.__main__ import main
from training.cross_validation import cross_validate
from training.data.dataset import Dataset, check_samples
from training.data.samples import find_samples
from training.data.splits import make_folds
from training.estimators.factory import estimator_for
from training.features.imagenet import Trunk
from training.report.builders import error_before_calibration
from training.resolution import larger_frames, with_frame
from training.resolution_trial import PreparedResolutions, ResolutionTrial, choose_scores, prepare_trial
from training.training_run import TrainingRun

SIDE, EACH = 128, 10


def plate(seed: int, *, fine: bool, defective: bool) -> Image.Image:
    """Gray with a little noise. A fine defect is a chequered field that is as bright in the mean, so that one tile of
    64×64 doesn't show it; another is white."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(110, 120, (SIDE, SIDE, 3), dtype=np.uint8)
    if defective:
        row, column = rng.integers(0, SIDE - 32, 2)
        field = pixels[row : row + 32, column : column + 32]
        chequered = np.where(np.indices((32, 32)).sum(0) % 2, 40, -40)[..., np.newaxis]
        field[:] = field + chequered if fine else 255
    return Image.fromarray(pixels)


def plates(root: Path, *, fine: bool) -> Path:
    for i in range(EACH):
        save(root / "good" / f"{i:03}.png", plate(i, fine=fine, defective=False))
        save(root / "spot" / f"{i:03}.png", plate(100 + i, fine=fine, defective=True))
    return root


def runs_of(dataset: Dataset, trunk: Trunk) -> list[TrainingRun]:
    asked = tiny_patches(resolution="auto")
    cheapest, _ = with_frame(asked, dataset.samples, dataset.sizes)
    recipes = [cheapest, *larger_frames(asked, dataset.samples, dataset.sizes)]
    return [training_run(dataset, trunk, recipe) for recipe in recipes]


@pytest.fixture(scope="module")
def fine(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return check_samples(find_samples(plates(tmp_path_factory.mktemp("fine"), fine=True)))


@pytest.fixture(scope="module")
def trial(fine: Dataset, trunk: Trunk) -> ResolutionTrial:
    return prepare_trial(runs_of(fine, trunk), 64)


def test_more_is_taken_where_it_shows_defects(trial: ResolutionTrial, fine: Dataset) -> None:
    choice = trial.choose(np.arange(len(fine.samples)))
    assert choice.recipe.frame_size == (SIDE, SIDE)
    assert "resolution: images of 128×128 become 128×128" in choice.sentence
    assert "AUROC of 20 images, cross-validated, is" in choice.sentence
    assert "in 1 tile of 64×64" in choice.sentence


def test_one_tile_is_taken_where_it_shows_them_too(trunk: Trunk, tmp_path: Path) -> None:
    dataset = check_samples(find_samples(plates(tmp_path, fine=False)))
    choice = prepare_trial(runs_of(dataset, trunk), 64).choose(np.arange(len(dataset.samples)))
    assert choice.recipe == tiny_patches(resolution="auto")


def test_too_few_images_to_try_are_said(trial: ResolutionTrial, fine: Dataset) -> None:
    few = np.array([i for i, sample in enumerate(fine.samples) if not sample.is_anomaly or i % EACH == 0])
    choice = trial.choose(few)
    assert choice.recipe.tiles == 1
    assert "no other could be tried: class anomaly has" in choice.sentence


def test_a_fold_chooses_by_what_it_learns_from_alone(trial: ResolutionTrial, fine: Dataset) -> None:
    """With the test images' labels turned round, the choice and its figures are the same."""
    split = make_folds(fine.samples, 3, seed=0)[0]
    tested = {fine.samples[i].name for i in split.test}
    turned = [
        replace(sample, kind="spot" if sample.kind == "good" else "good") if sample.name in tested else sample
        for sample in trial.samples
    ]
    assert turned != list(trial.samples)
    assert replace(trial, samples=turned).choose(split.train) == trial.choose(split.train)


def test_folds_of_either_resolution_are_measured_together(trial: ResolutionTrial, fine: Dataset, trunk: Trunk) -> None:
    class Alternating(ResolutionTrial):
        def choose(self, real):  # type: ignore[no-untyped-def]
            choice = trial.choose(real)
            return choice if 0 in real else replace(choice, recipe=self.candidates[0].recipe)

    runs = runs_of(fine, trunk)
    prepared = PreparedResolutions(runs, Alternating(**vars(trial)))
    result = cross_validate(prepared, make_folds(fine.samples, 3, seed=0), runs[0])
    assert len(result.predictions) == len(fine.samples)
    assert result.trunk_choices == []
    assert len({prediction.evidence.shape for prediction in result.predictions}) == 2
    assert 0 <= error_before_calibration(result.predictions, Pooling(0.05)) <= 1  # of maps of either shape


def test_its_bar_has_room_for_every_trunk_of_a_fold(trial: ResolutionTrial, fine: Dataset, trunk: Trunk) -> None:
    runs = runs_of(fine, trunk)
    widths = (0.125, 0.25, 0.5)
    auto = [replace(run, recipe=replace_recipe(run.recipe, trunk="auto", narrow_shares=widths)) for run in runs]
    prepared = estimator_for(auto[0].recipe).prepare(auto[0])
    assert (
        PreparedResolutions(auto, trial).fit_steps
        == prepared.fit_steps
        == 5 * PreparedResolutions(runs, trial).fit_steps
    )


def scores(gap: float, seed: int = 0, each: int = 40) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(0, 1, each), rng.normal(gap, 1, each)])


@pytest.mark.parametrize(
    ("gaps", "chosen"),
    [
        ((1.0, 1.0), 0),
        ((1.0, 1.3), 0),  # no more than chance
        ((0.5, 4.0), 1),
        ((0.5, 4.0, 4.2), 1),
        ((0.5, 0.6, 4.0), 2),
        ((9.0, 9.0), 0),  # there is nothing to gain
    ],
)
def test_the_cheapest_is_taken_that_none_clearly_beats(gaps: tuple[float, ...], chosen: int) -> None:
    is_anomaly = np.repeat([False, True], 40)
    assert choose_scores([scores(gap, seed) for seed, gap in enumerate(gaps)], is_anomaly) == chosen


@pytest.mark.parametrize("command", ["crossval", "fit"])
def test_the_commands_choose(
    command: str, trunk: Trunk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("training.cli_run.imagenet_trunk", lambda *_, **__: trunk)
    preset = tmp_path / "own.toml"
    preset.write_text(OWN_PATCHES)
    data = plates(tmp_path / "plates", fine=True)
    where = ["--store", str(tmp_path / "store"), "--model", "plates"] if command == "fit" else ["--folds", "3"]
    where += ["--report", str(tmp_path / "report")] if command == "crossval" else []
    assert main([command, "--data", str(data), "--preset", str(preset), "--resolution", "auto", *where]) == 0
    printed = capsys.readouterr().out
    assert printed.count("become 128×128") == (1 if command == "fit" else 3)
