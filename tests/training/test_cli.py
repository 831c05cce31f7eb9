"""The command line: help that a stranger understands, errors on one line, exit codes."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from model.artifact import read_artifact
from model.errors import RecipeError
from model.hypercolumn import narrow_widths
from model.signatures import TrustedKeys
from model.weights import trunk_digest
from tests.support.artifacts import publish
from tests.support.signing import key_files
from tests.training.conftest import OWN_FINE_TUNING, OWN_PATCHES, MakeFolder, part_image, replace_prepare, save
from tests.training.report.reader import Reader
from training.__main__ import main
from training.cli import parse
from training.cli_validation import rule_of
from training.features.imagenet import Trunk


@pytest.mark.parametrize("command", ["fit", "crossval", "curve", "evaluate", "report", "msa", "challenge", "weights"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    printed = capsys.readouterr().out
    assert f"usage: python -m training {command}" in printed
    assert re.search(rf"example: python -m training {command} (--|study )", printed)


def test_the_default_is_the_accurate_preset_on_real_defects() -> None:
    chosen = parse(["crossval", "--data", "parts"])
    assert (chosen.preset, chosen.masks, chosen.anomalies) == ("accurate", "auto", "real")
    assert rule_of(chosen) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "--data", "nowhere", "--model", "m", "--store", "s"], "nowhere is not a folder"),
        (["crossval", "--data", "nowhere", "--preset", "best"], "no preset 'best'"),
        (["evaluate", "--data", ".", "--model", "m", "--store", "nowhere"], "no model 'm' in nowhere"),
        (["report", "--data", ".", "--model", "m", "--store", "nowhere", "--out", "o"], "no model 'm' in nowhere"),
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


@pytest.mark.parametrize("command", [["crossval", "--folds", "2"], ["curve", "--draws", "2", "--defects", "5"]])
def test_inner_folds_that_the_data_can_not_fill_are_refused(
    make_folder: MakeFolder, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    """Of eight defects a fold learns from four, and divides them into five folds."""
    assert main([*command, "--data", str(make_folder(good=12, bad=4))]) == 1
    assert "class anomaly has 4 image(s)" in capsys.readouterr().err


def untrained(*_: object, **__: object) -> None:
    raise AssertionError("training has begun")


def test_draws_of_too_few_groups_are_refused_before_training(
    workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of three defects to learn from may be of one lot."""
    shutil.rmtree(workplace / "parts/dent")
    for i in range(24):
        save(workplace / f"parts/dent/lot{i // 4}-{i}.png", part_image(i, defective=True))
    replace_prepare(monkeypatch, untrained)
    group = ["--group", r"good/\d+|lot\d+"]
    assert main(["curve", *PATCHES, *group, "--draws", "2", "--defects", "3"]) == 1
    assert re.search(r"class anomaly has [12] image\(s\), or groups of images, but 3", capsys.readouterr().err)


@pytest.mark.parametrize("command", [["crossval", "--folds", "6"], ["fit", "--model", "part", "--store", "store"]])
def test_too_few_good_images_to_hold_out_are_refused_before_training(
    workplace: Path, command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (workplace / "parts/good/6.png").unlink()
    text = OWN_FINE_TUNING.replace("test_share = 0.25", "test_share = 0.1667")
    (workplace / "own.toml").write_text(text)
    replace_prepare(monkeypatch, untrained)
    assert main([command[0], *FINE_TUNING, *command[1:]]) == 1
    assert "of 2 images that are held out only one is good" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["1", "0", "two"])
def test_numbers_are_checked(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["crossval", "--data", ".", "--folds", number])
    assert "argument --folds" in capsys.readouterr().err


@pytest.mark.parametrize(("model", "message"), [("Two Words", "can't be a model's name"), ("spots", "Not a directory")])
def test_a_store_that_can_not_take_the_model_is_said_before_training(
    make_folder: MakeFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str, message: str
) -> None:
    (tmp_path / "store").write_text("a file where the store should be")
    assert main(["fit", "--data", str(make_folder()), "--model", model, "--store", str(tmp_path / "store")]) == 1
    assert message in capsys.readouterr().err


@pytest.fixture
def workplace(tmp_path: Path, trunk: Trunk, monkeypatch: pytest.MonkeyPatch) -> Path:
    """12-bit images of two kinds of part, presets and weights, in the current folder."""
    monkeypatch.chdir(tmp_path)
    write_parts(tmp_path / "parts", seed=0)
    (tmp_path / "own.toml").write_text(OWN_FINE_TUNING)
    (tmp_path / "patches.toml").write_text(OWN_PATCHES)
    save_file(trunk, tmp_path / "trunk.safetensors", metadata={"trunk_sha256": trunk_digest(trunk)})
    return tmp_path


def write_parts(folder: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for kind, count in (("good", 7), ("dent", 6)):
        for i in range(count):
            pixels = rng.integers(500, 1500, (40, 40), dtype=np.uint16)
            pixels[10:20, 10:20] += 2000 * (kind == "dent")
            save(folder / kind / f"{i}.png", Image.fromarray(pixels))


FINE_TUNING = ["--data", "parts", "--preset", "own.toml", "--weights", "trunk.safetensors"]
PATCHES = ["--data", "parts", "--preset", "patches.toml", "--weights", "trunk.safetensors"]
PART = ["--model", "part", "--store", "store"]


@pytest.mark.parametrize("training", [FINE_TUNING, PATCHES])
def test_crossval_predicts_every_image_once(
    workplace: Path, training: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["crossval", *training, "--folds", "2", "--json", "r.json", "--report", "page"]) == 0
    results = json.loads((workplace / "r.json").read_text())
    assert len(results["images"]) == 13
    assert len(results["folds"]) == 2
    assert "trunk_choices" not in results
    assert "2 folds pooled: 13 images" in capsys.readouterr().out
    page = Reader((workplace / "page" / "report.html").read_text()).words
    assert "A cross-validation: how good a model that learns from such images will be; none was exported." in page


def test_the_trunk_is_asked_for(
    workplace: Path, few_narrowing_images: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", *PATCHES, *PART, "--trunk", "narrow", "--json", "fit.json"]) == 0
    manifest = read_artifact(workplace / "store" / "part" / "1").manifest
    assert manifest.network.trunk == narrow_widths(0.25)
    assert (manifest.recipe["trunk"], manifest.trunk_choice) == ("narrow", None)
    assert {"narrowing", "narrow features", "training"} <= json.loads(Path("fit.json").read_text())["seconds"].keys()
    assert main(["crossval", *PATCHES, "--folds", "2", "--trunk", "auto", "--json", "r.json"]) == 0
    results = json.loads(Path("r.json").read_text())
    assert results["recipe"]["trunk"] == "auto"
    assert len(results["trunk_choices"]) == 2
    for choice in results["trunk_choices"]:
        assert [trial["share"] for trial in choice["trials"]] == [0.25]
        assert choice["share"] == (0.25 if choice["trials"][0]["passed"] else 1.0)
    assert "a trunk with 25.0% of the channels: AUROC" in capsys.readouterr().out
    assert main(["crossval", *FINE_TUNING, "--trunk", "narrow"]) == 1
    assert "preset own fine-tunes the full trunk, so --trunk narrow" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["crossval", *PATCHES, "--trunk", "thin"])


def test_evaluate_repeats_what_fit_measured(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Over 16-bit images, so that the full scale must have gone into the artifact."""
    assert main(["fit", *FINE_TUNING, *PART, "--json", "fit.json"]) == 0
    assert main(["evaluate", "--data", "parts", *PART, "--json", "eval.json"]) == 0
    fitted, evaluated = (json.loads((workplace / f"{name}.json").read_text())["images"] for name in ("fit", "eval"))
    assert len(evaluated) == 13
    assert 2 <= len(fitted) <= 4
    probabilities = {row["path"]: row["probability"] for row in evaluated}
    for row in fitted:
        assert probabilities[row["path"]] == pytest.approx(row["probability"], abs=1e-5)
    assert "warning: these are the very images that the version was made from" in capsys.readouterr().out


def test_fit_then_curve_report_and_new_thresholds(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A product's life: a version with a learning curve in its report, newly labelled parts, a better version."""
    write_parts(workplace / "more", seed=1)
    assert main(["curve", *PATCHES, "--defects", "3", "--draws", "2", "--json", "curve.json"]) == 0
    private, public = key_files(workplace)
    signed = ["--sign", str(private)]
    assert main(["fit", *PATCHES, *PART, "--best-balanced-accuracy", "--curve", "curve.json", *signed]) == 0
    TrustedKeys.read(public).check(workplace / "store" / "part" / "1")
    page = Reader((workplace / "store/part/1/report/report.html").read_text()).words
    assert "Learning curve" in page
    assert "Best balanced accuracy" in page
    assert "its number is its folder’s name" in page.replace("'", "’")

    more = ["--data", "more", *PART]
    assert main(["report", *more, "--out", "page"]) == 0
    assert "part, version 1" in Reader((workplace / "page" / "report.html").read_text()).words
    capsys.readouterr()
    assert main(["evaluate", *more, "--defect-rate", "0.01", "--report", "line"]) == 0
    assert "where 1 % of parts are defective" in Reader((workplace / "line" / "report.html").read_text()).words
    assert main(["evaluate", *more, "--recalibrate", "--miss-cost", "3", "--report", "new", "--json", "new.json"]) == 0
    assert "version 2 has new thresholds" in capsys.readouterr().out
    assert json.loads((workplace / "new.json").read_text())["version"] == 2
    assert (workplace / "new/report.html").read_bytes() == (workplace / "store/part/2/report/report.html").read_bytes()
    operating_point = json.loads((workplace / "store/part/2/manifest.json").read_text())["operating_point"]
    assert operating_point["rule"] == {"name": "least-cost", "miss_cost": 3.0}
    assert main(["evaluate", *more]) == 0
    assert "warning: these are the very images that its thresholds were chosen on" in capsys.readouterr().out


def test_new_thresholds_keep_groups_whole(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three images of each part, so two to three parts of either class: fewer folds than of single images."""
    publish(workplace / "store", "part")
    for kind, count in (("good", 9), ("dent", 6)):
        for i in range(count):
            save(
                workplace / f"lots/{kind}/part{i // 3}{kind}-{i}.png",
                part_image(i + 50 * (kind == "dent"), defective=kind == "dent"),
            )
    arguments = ["evaluate", "--data", "lots", *PART, "--recalibrate", "--json", "r.json"]
    assert main([*arguments, "--group", r"(part\d+\w+)-"]) == 0
    protocol = json.loads((workplace / "r.json").read_text())["figures"]["protocol"]
    assert protocol.startswith("15 newly labelled images in 2 folds")
    assert main([*arguments, "--group", "part"]) == 1
    assert "class good has 1 image(s), or groups of images" in capsys.readouterr().err


def test_good_images_alone_are_enough_with_synthetic_anomalies(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(workplace / "parts/dent")
    assert main(["crossval", *PATCHES, "--anomalies", "synthetic"]) == 1
    assert main(["fit", *PATCHES, *PART]) == 1
    assert capsys.readouterr().err.count("no image is of a defective part") == 2
    assert main(["fit", *PATCHES, *PART, "--anomalies", "synthetic"]) == 0
    assert "warning: no real defect was used" in capsys.readouterr().out


def test_evaluate_names_an_image_that_the_model_can_not_predict(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", *FINE_TUNING, *PART]) == 0
    save(workplace / "parts/good/0.png", Image.fromarray(np.full((40, 40), 60_000, dtype=np.uint16)))
    assert main(["evaluate", "--data", "parts", *PART]) == 1
    assert "parts/good/0.png: a pixel of 60000 is above the full scale of 4095" in capsys.readouterr().err


FIT = ["fit", *PATCHES, *PART]
BASELINE = ["fit", "--data", "parts", "--preset", "baseline", *PART]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [*BASELINE, "--miss-cost", "3"],
            "preset baseline has a fixed threshold of 0.5, so --miss-cost is for other presets",
        ),
        (
            [*BASELINE, "--max-miss", "0.3"],
            "preset baseline has a fixed threshold of 0.5, so --max-miss is for other presets",
        ),
        (
            [*BASELINE, "--best-balanced-accuracy"],
            "preset baseline has a fixed threshold of 0.5, so --best-balanced-accuracy",
        ),
        ([*BASELINE, "--anomalies", "synthetic"], "preset baseline learns from real anomalies only"),
        ([*FIT, "--max-miss", "1.5"], "an error-rate limit must lie between 0 and 1, not 1.5"),
        ([*FIT, "--max-miss", "0.3", "--miss-cost", "3"], "choose one of --miss-cost, --best-balanced-accuracy"),
        ([*FIT, "--defect-rate", "31"], "--defect-rate must lie between 0 and 1, not 31"),
        ([*FIT, "--odd-rate", "0"], "--odd-rate must lie between 0 and 1, not 0"),
        ([*FIT, "--odd-rate", "nan"], "--odd-rate must lie between 0 and 1, not nan"),
        (
            [*FIT, "--parts-per-false-alarm", "5"],
            "--parts-per-false-alarm must lie between 100 and 1,000,000,000, not 5",
        ),
        (["evaluate", "--data", "parts", *PART, "--odd-rate", "0.1"], "--odd-rate chooses new limits of the gate: it"),
        ([*FIT, "--max-miss", "0.3", "--anomalies", "synthetic"], "--max-miss can't be kept for real defects"),
        ([*FIT, "--curve", "nowhere.json"], "--curve nowhere.json can't be read"),
        ([*FIT, "--curve", "own.toml"], "--curve own.toml is not what `curve --json` writes"),
        ([*FIT, "--json", "nowhere/r.json"], "--json nowhere/r.json can't be written"),
        (
            ["curve", "--data", "parts", "--defects", "3", "9"],
            "--defects 3 is too few: preset accurate divides them into 5 folds",
        ),
        (["curve", *PATCHES, "--anomalies", "synthetic"], "--anomalies synthetic learns from no real defect"),
        (["crossval", *PATCHES, "--report", "own.toml/page"], "the report can't be written to own.toml/page"),
        (["evaluate", "--data", "parts", *PART, "--max-miss", "0.3"], "--max-miss chooses new thresholds: it needs"),
        (["evaluate", "--data", "parts", *PART, "--group", "x"], "--group keeps parts together where thresholds"),
        (["evaluate", "--data", "parts", *PART, "--report", "own.toml"], "the report can't be written to own.toml"),
        (["evaluate", "--data", "parts", *PART, "--json", "nowhere/r.json"], "--json nowhere/r.json can't be written"),
        (["report", "--data", "parts", *PART, "--out", "own.toml"], "the report can't be written to own.toml"),
        (["report", "--data", "parts", *PART, "--out", "o", "--defect-rate", "0"], "--defect-rate must lie between"),
    ],
)
def test_what_does_not_go_together_is_said_at_once(
    workplace: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: {message}")
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert not (workplace / "store").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [*FIT, "--max-miss", "0.001"],
            "a miss rate under 0.1 % needs at least 2,995 defects with no miss; you have 6$",
        ),
        (["crossval", *PATCHES, "--max-false-reject", "0.01"], "needs at least 299 good images .* you have 7$"),
        ([*FIT, "--max-miss", "0.5"], "needs at least 5 defects with no miss; you have 4 besides those held out"),
        (["curve", *PATCHES, "--draws", "2", "--max-miss", "0.9", "--defects", "3"], ""),
        (
            ["curve", *PATCHES, "--draws", "2", "--max-miss", "0.6", "--defects", "3"],
            "at least 4 defects .* 3 besides",
        ),
    ],
)
def test_an_error_bound_that_takes_more_images_is_refused_before_training(
    workplace: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def trained(*_: object, **__: object) -> None:
        raise RecipeError("training has begun")

    replace_prepare(monkeypatch, trained)
    assert main(arguments) == 1
    assert re.search(message or "training has begun", capsys.readouterr().err.strip())
