"""The command line: help that a stranger understands, errors on one line, exit codes."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from model.weights import trunk_digest
from tests.training.conftest import OWN_PRESET, MakeFolder, save
from training.__main__ import main
from training.imagenet import Trunk


@pytest.mark.parametrize("command", ["fit", "crossval", "evaluate", "draw", "weights"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    printed = capsys.readouterr().out
    assert f"usage: python -m training {command}" in printed
    assert f"example: python -m training {command} --" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "--data", "nowhere", "--model", "m", "--store", "s"], "nowhere is not a folder"),
        (["crossval", "--data", "nowhere", "--preset", "best"], "no preset 'best'"),
        (["evaluate", "--data", ".", "--model", "m", "--store", "nowhere"], "no model 'm' in nowhere"),
    ],
)
def test_an_error_is_said_on_standard_error(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: {message}")
    assert list(tmp_path.iterdir()) == []


def test_folds_that_the_data_can_not_fill_are_refused(
    make_folder: MakeFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_folder(good=12, bad=1)
    assert main(["crossval", "--data", str(root), "--folds", "5"]) == 1
    assert "class anomaly has 2 image(s)" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["1", "0", "two"])
def test_numbers_are_checked(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["crossval", "--data", ".", "--folds", number])
    assert "argument --folds" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "message"), [("Two Words", "can't be a model's name"), ("spots", "can't be written")]
)
def test_a_store_that_can_not_take_the_model_is_said_before_training(
    make_folder: MakeFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str, message: str
) -> None:
    (tmp_path / "store").write_text("a file where the store should be")
    assert main(["fit", "--data", str(make_folder()), "--model", model, "--store", str(tmp_path / "store")]) == 1
    assert message in capsys.readouterr().err


@pytest.fixture
def workplace(tmp_path: Path, trunk: Trunk, monkeypatch: pytest.MonkeyPatch) -> Path:
    """12-bit pictures of two kinds of part, a preset and weights, in the current folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for kind, count in (("good", 6), ("dent", 5)):
        for i in range(count):
            pixels = rng.integers(500, 1500, (40, 40), dtype=np.uint16)
            pixels[10:20, 10:20] += 2000 * (kind == "dent")
            save(tmp_path / "parts" / kind / f"{i}.png", Image.fromarray(pixels))
    (tmp_path / "own.toml").write_text(OWN_PRESET)
    save_file(trunk, tmp_path / "trunk.safetensors", metadata={"trunk_sha256": trunk_digest(trunk)})
    return tmp_path


TRAINING = ["--data", "parts", "--preset", "own.toml", "--weights", "trunk.safetensors"]


def test_crossval_judges_every_image_once(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crossval", *TRAINING, "--json", "r.json"]) == 0
    results = json.loads((workplace / "r.json").read_text())
    assert len(results["images"]) == 11
    assert len(results["folds"]) == 5
    assert "5 folds pooled: 11 images" in capsys.readouterr().out


def test_evaluate_repeats_what_fit_measured(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Over 16-bit pictures, so that the full scale must have gone into the artifact."""
    assert main(["fit", *TRAINING, "--model", "part", "--store", "store", "--json", "fit.json"]) == 0
    assert main(["evaluate", "--data", "parts", "--model", "part", "--store", "store", "--json", "eval.json"]) == 0
    fitted, evaluated = (json.loads((workplace / f"{name}.json").read_text())["images"] for name in ("fit", "eval"))
    assert len(evaluated) == 11
    assert len(fitted) in {2, 3}
    probabilities = {row["path"]: row["probability"] for row in evaluated}
    for row in fitted:
        assert probabilities[row["path"]] == pytest.approx(row["probability"], abs=1e-5)
    assert "the very images that the version was made from" in capsys.readouterr().out


def test_evaluate_names_an_image_that_the_model_can_not_judge(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", *TRAINING, "--model", "part", "--store", "store"]) == 0
    save(workplace / "parts/good/0.png", Image.fromarray(np.full((40, 40), 60_000, dtype=np.uint16)))
    assert main(["evaluate", "--data", "parts", "--model", "part", "--store", "store"]) == 1
    assert "parts/good/0.png: a pixel of 60000 is above the full scale of 4095" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["crossval", "evaluate"])
def test_results_that_could_not_be_written_are_refused_first(
    workplace: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", *TRAINING, "--model", "part", "--store", "store"]) == 0
    rest = TRAINING if command == "crossval" else ["--data", "parts", "--model", "part", "--store", "store"]
    capsys.readouterr()
    assert main([command, *rest, "--json", "nowhere/r.json"]) == 1
    printed = capsys.readouterr()
    assert printed.err == "error: --json nowhere/r.json can't be written\n"
    assert printed.out == ""
