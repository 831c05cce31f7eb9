"""The newcomer's way, with nothing faked: draw, fit with ImageNet's weights, evaluate, serve, post, stop."""

import base64
import csv
import io
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.support.browser import CHROMIUM, NO_CHROMIUM, browser
from tests.support.process import PATIENCE, ROOT, Server, served

GOOD: Final = 40
DEFECTIVE: Final = 20


@dataclass(frozen=True)
class Fitted:
    """What `fit` left behind, and what `evaluate` made of images that were drawn since."""

    store: Path
    output: str
    results: dict[str, Any]
    new: Path
    evaluated: dict[str, Any]


def training(*arguments: object) -> str:
    return program("training", *arguments)


def program(module: str, *arguments: object) -> str:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def less_of(preset: str) -> str:
    """The preset without flipped images, with fewer patches and folds."""
    text = (ROOT / "training" / "presets" / f"{preset}.toml").read_text()
    for name, number in (("flips", 0), ("good_patches", 8000), ("inner_folds", 3)):
        text, count = re.subn(rf"^{name} = \d+$", f"{name} = {number}", text, flags=re.MULTILINE)
        assert count == 1
    return text


@pytest.fixture(scope="module", params=["carpet", "capsule"])
def fitted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """Trained as `make run` does, by less of everything: a threshold of least cost would ask for more good images."""
    root, product = tmp_path_factory.mktemp(request.param), request.param
    program("examples.draw", "--out", root / "data", "--product", product, "--good", GOOD, "--defective", DEFECTIVE)
    program("examples.draw", "--out", root / "new", "--product", product, "--good", 10, "--defective", 10, "--seed", 1)
    stored = ("--model", product, "--store", root / "store")
    (preset := root / "less.toml").write_text(less_of("fast"))
    options = ("--preset", preset, "--best-balanced-accuracy", "--data", root / "data" / product)
    output = training("fit", *options, *stored, "--json", root / "fit.json")
    training("evaluate", "--data", root / "new" / product, *stored, "--json", root / "new.json")
    results, evaluated = (json.loads((root / name).read_text()) for name in ("fit.json", "new.json"))
    return Fitted(root / "store", output, results, root / "new" / product, evaluated)


@pytest.fixture(scope="module")
def server(fitted: Fitted) -> Iterator[Server]:
    with served(fitted.store, "--drain-seconds", "0.5", "--deadline-ms", "60000", "--variant", "float32") as server:
        server.wait_until_ready()
        yield server
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0


def post(server: Server, path: Path, **query: str) -> dict[str, Any]:
    """As `curl --data-binary @file` does, which claims to send a form."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = httpx.post(
        f"{server.url}/predict", content=path.read_bytes(), headers=headers, params=query, timeout=PATIENCE
    )
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def test_the_cross_validated_figures_are_good(fitted: Fitted) -> None:
    """At the thresholds that were chosen on other images."""
    assert len(fitted.results["images"]) == GOOD + DEFECTIVE
    figures = fitted.results["figures"]
    assert figures["balanced_accuracy"]["value"] >= 0.9, fitted.output
    assert figures["auroc"]["value"] >= 0.95, fitted.output
    assert figures["good_images_with_region"]["value"] <= 0.1, fitted.output


def test_fit_says_where_the_version_is_and_how_to_use_it(fitted: Fitted) -> None:
    model = fitted.new.name
    assert f"version 1 of '{model}' is in {fitted.store / model / '1'}" in fitted.output
    assert f"python -m app serve --store {fitted.store}" in fitted.output
    assert f"http://127.0.0.1:8000/v1/models/{model}/predict" in fitted.output
    assert (fitted.store / model / "1" / "report" / "report.html").is_file()


def test_the_readmes_command_makes_a_table_of_a_folder(fitted: Fitted, tmp_path: Path) -> None:
    """After `make run`, whose model and images are elsewhere here."""
    (line,) = re.findall(r"^    \.venv/bin/python -m app (score .+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    out = tmp_path / "verdicts.csv"
    paths = {"run/data/carpet/test": fitted.new / "test", "run/store": fitted.store, out.name: out}
    words = [str(paths.pop(word, word)) for word in line.split()]
    assert not paths
    program("app", *words, "--variant", "float32")
    with out.open(newline="") as file:
        rows = {Path(row["file"]).relative_to(fitted.new).as_posix(): row for row in csv.DictReader(file)}
    measured = {row["path"]: row for row in fitted.evaluated["images"] if row["path"].startswith("test/")}
    assert rows.keys() == measured.keys()
    for path, row in rows.items():
        assert float(row["probability"]) == pytest.approx(measured[path]["probability"], abs=1e-5)
        assert row["error"] == ""


def test_every_new_image_is_served_as_it_was_measured(fitted: Fitted, server: Server) -> None:
    right = []
    for row in fitted.evaluated["images"]:
        reply = post(server, fitted.new / row["path"], heatmap="none")
        assert reply["probability"] == pytest.approx(row["probability"], abs=1e-5), row
        thresholds = reply["thresholds"]
        assert thresholds["label"] == row["threshold"]
        assert thresholds["review"] == thresholds["label"] == thresholds["reject"]
        assert reply["label"] == ("anomaly" if reply["probability"] >= row["threshold"] else "good")
        assert reply["decision"] == {"anomaly": "reject", "good": "accept"}[reply["label"]]
        right.append(reply["label"] == row["target"])
    assert len(right) == 20
    assert np.mean(right) >= 0.85
    assert fitted.evaluated["figures"]["auroc"]["value"] >= 0.95


def test_the_quickest_variant_gives_the_same_verdicts(fitted: Fitted) -> None:
    """int8 where training found that it agrees; else float32 serves, and says why."""
    with served(fitted.store, "--deadline-ms", "60000") as server:
        server.wait_until_ready()
        (version,) = httpx.get(f"{server.url}/v1/models/{fitted.new.name}", timeout=PATIENCE).json()["versions"]
        assert version["engine"] == "onnxruntime"
        assert version["variant"] == ("float32" if version["skipped_variants"] else "int8")
        rows = fitted.evaluated["images"]
        replies = [post(server, fitted.new / row["path"], heatmap="none", regions="false") for row in rows]
        same = [
            (reply["label"] == "anomaly") == (row["probability"] >= row["threshold"])
            for reply, row in zip(replies, rows, strict=True)
        ]
        assert sum(same) >= len(rows) - 1
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(PATIENCE) == 0


def test_curls_three_forms_give_one_answer(fitted: Fitted, server: Server) -> None:
    path = next((fitted.new / "test").glob("c*/000.png"))
    data = path.read_bytes()
    url = f"{server.url}/v1/models/{fitted.new.name}/predict"
    replies = [
        post(server, path),
        httpx.post(url, files={"file": (path.name, data)}, timeout=PATIENCE).json(),
        httpx.post(url, json={"image": {"b64": base64.b64encode(data).decode()}}, timeout=PATIENCE).json(),
    ]
    for reply in replies:
        assert reply["probability"] == pytest.approx(replies[0]["probability"], abs=1e-6)
        assert (reply["model"], reply["model_version"]) == (fitted.new.name, 1)
        assert reply["heatmap"] == replies[0]["heatmap"]
    overlay = httpx.post(url, content=data, headers={"Accept": "image/png"}, timeout=PATIENCE)
    assert Image.open(io.BytesIO(overlay.content)).size == (256, 256)


def test_a_found_defect_has_a_region_and_a_bright_place_on_it(fitted: Fitted, server: Server) -> None:
    """The brightest place lies on the mask, or within a cell of it, for most defects that were found."""
    hits, boxes = [], []
    for row in fitted.evaluated["images"]:
        if row["target"] == "good" or row["probability"] < row["threshold"]:
            continue
        kind, name = Path(row["path"]).parts[-2:]
        mask = Image.open(fitted.new / "ground_truth" / kind / name.replace(".png", "_mask.png")).resize((224, 224))
        reply = post(server, fitted.new / row["path"])
        heatmap = decoded_heatmap(reply)
        y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
        near = np.asarray(mask)[max(0, y - 8) : y + 9, max(0, x - 8) : x + 9]
        hits.append(bool(near.any()))
        boxes.append(bool(reply["regions"]))
    assert len(hits) >= 8
    assert np.mean(hits) > 0.7
    assert np.mean(boxes) > 0.7


def test_a_good_part_stays_dark(fitted: Fitted, server: Server) -> None:
    replies = [post(server, fitted.new / row["path"]) for row in fitted.evaluated["images"] if row["target"] == "good"]
    assert np.median([np.median(decoded_heatmap(reply)) for reply in replies]) < 0.1 * 255
    assert np.mean([bool(reply["regions"]) for reply in replies]) <= 0.2


@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
def test_a_dropped_image_shows_its_defect_its_record_and_its_history(fitted: Fitted, tmp_path: Path) -> None:
    """On the page of the service that `make run` starts."""
    command = re.search(r"-m app serve --store run/store (.+) --port", (ROOT / "Makefile").read_text())
    assert command
    flags = [each.replace("run/", f"{tmp_path}/") for each in command[1].split()]
    found = sorted(
        (row for row in fitted.evaluated["images"] if row["target"] != "good"),
        key=lambda row: -float(row["probability"]),
    )
    parts = [tmp_path / name / "part 7.png" for name in ("first", "second")]
    for part, row in zip(parts, found, strict=False):
        part.parent.mkdir()
        part.write_bytes((fitted.new / row["path"]).read_bytes())
    with served(fitted.store, *flags) as server, browser(tmp_path / "profile") as tab:
        server.wait_until_ready()
        tab.open(f"{server.url}/")
        tab.until(f"document.querySelector('#model').value === '{fitted.new.name}'")
        for number, part in enumerate(parts, 1):
            tab.drop_files([part], ".drop")
            tab.until(f"document.querySelectorAll('.items .chip').length === {number}")
        tab.press("ArrowRight")
        tab.until("document.querySelectorAll('.history li').length === 2")
        inference_id = tab.text(".facts code")
        record = httpx.get(f"{server.url}/v1/inspections/{inference_id}", timeout=PATIENCE).json()
        assert (record["part_id"], record["decision"]) == ("part 7", "reject")
        assert tab.text(".banner strong") == "Reject"
        scores = tab.value(
            "[...document.querySelectorAll('.side tbody tr td:nth-child(2)')].map((each) => each.innerText)"
        )
        assert scores == [f"{region['score']:.2f}" for region in record["regions"][:12]]
        assert scores
        tab.click("Review")
        tab.until("document.querySelector('.viewer canvas').ariaLabel.startsWith('Part part 7: Reject')")
        assert tab.problems == []


def decoded_heatmap(reply: dict[str, Any]) -> NDArray[np.uint8]:
    heatmap = np.asarray(Image.open(io.BytesIO(base64.b64decode(reply["heatmap"]))))
    assert heatmap.shape == (224, 224)
    return heatmap
