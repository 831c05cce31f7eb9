"""The command line: help that a stranger understands, errors on one line, exit codes."""

from pathlib import Path

import pytest

from tests.training.conftest import MakeFolder
from training.__main__ import main


@pytest.mark.parametrize("command", ["fit", "crossval", "evaluate", "draw", "weights"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert f"python -m training {command}" in capsys.readouterr().out


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
