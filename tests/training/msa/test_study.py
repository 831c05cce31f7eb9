"""A study from its folder to page and JSON, by the command."""

import json
from pathlib import Path

import pytest

from model.detector import load_detector
from model.serving import Serving
from model.store import Store
from tests.support.artifacts import publish
from tests.training.conftest import part_image, save
from tests.training.report.reader import Reader
from training.__main__ import main


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions, of which the first one serves, at thresholds and a defect rate of the line's own."""
    root = tmp_path_factory.mktemp("store")
    publish(root, "bolt", slope=10.0)
    publish(root, "bolt", slope=0.5)
    Store(root).set_serving("bolt", Serving(version=1, thresholds=0.3, defect_rate=0.2))
    return root


@pytest.fixture
def study(tmp_path: Path) -> Path:
    for station in ("left", "<b>right"):
        for trial in range(2):
            for part in range(4):
                folder = tmp_path / "study" / station / f"{trial}" / ("dent" if part % 2 else "good")
                seed = part + 10 * trial + (100 if station == "left" else 0)
                save(folder / f"{part}.png", part_image(seed, defective=bool(part % 2)))
    return tmp_path / "study"


def test_decisions_are_those_of_the_version_that_serves(store: Path, study: Path, tmp_path: Path) -> None:
    report, file = tmp_path / "report", tmp_path / "msa.json"
    arguments = ["msa", str(study), "--store", str(store), "--model", "bolt", "--device", "cpu"]
    assert main([*arguments, "--report", str(report), "--json", str(file)]) == 0
    found = json.loads(file.read_text())
    assert (found["version"], found["defect_rate"], found["thresholds"]) == (1, 0.2, [0.3, 0.3])
    detector = load_detector(store / "bolt" / "1", "cpu", 0.2, Serving(thresholds=0.3).line_thresholds())
    for part in found["figures"]["parts"]:
        for station, decisions in part["decisions"].items():
            for trial, decision in enumerate(decisions):
                image = study / station / str(trial) / part["kind"] / f"{part['part']}.png"
                pixels = detector.read_image(image.read_bytes()).pixels
                assert detector.verdict(detector.run(pixels).evidence).decision == decision
    assert (report / "report.json").read_bytes() == file.read_bytes()
    page = Reader((report / "report.html").read_text())
    assert "4 parts, each imaged in every trial of 2 stations" in page.words
    assert "<b>right" in page.words  # escaped: the page has no such tag
    assert "b" not in page.tags
    assert not {"script", "img"} & set(page.tags)
    assert all(uri.startswith(("#", "data:")) for uri in page.of("href"))
    assert "ppm" in page.words


def test_the_table_is_printed_and_copies_are_told(store: Path, study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (study / "left" / trial / "good" / "0.png" for trial in "01")
    second.write_bytes(first.read_bytes())
    assert main(["msa", str(study), "--store", str(store), "--model", "bolt", "--version", "2"]) == 0
    printed = capsys.readouterr().out
    assert "warning: 2 files are copies, as left/0/good/0.png and left/1/good/0.png" in printed
    assert "version 2 of 'bolt'" in printed
    for name in ("all stations", "station left", "effectiveness", "escape rate", "ppm", "kappa between stations"):
        assert name in printed


def test_an_image_that_can_not_be_decoded_is_named(
    store: Path, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (study / "left" / "0" / "good" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert main(["msa", str(study), "--store", str(store), "--model", "bolt"]) == 1
    assert "left/0/good/0.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nut"], "no model 'nut'"),
        (["--model", "bolt", "--version", "9"], "has no version 9"),
        (["--model", "bolt", "--json", "/nowhere/msa.json"], "--json /nowhere/msa.json can't be written"),
    ],
)
def test_what_is_not_there_is_named(
    store: Path, study: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["msa", str(study), "--store", str(store), *arguments]) == 1
    assert message in capsys.readouterr().err
