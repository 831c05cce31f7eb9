"""The newcomer's way, with nothing faked: draw, fit with ImageNet's weights, serve, post, stop."""

import base64
import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.app.process import PATIENCE, ROOT, Server, served


@dataclass(frozen=True)
class Fitted:
    """What `fit` left behind."""

    data: Path
    store: Path
    output: str
    results: dict[str, Any]


def training(*arguments: object) -> str:
    command = [sys.executable, "-m", "training", *map(str, arguments)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.fixture(scope="module", params=["carpet", "capsule"])
def fitted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    root = tmp_path_factory.mktemp(request.param)
    training("draw", "--out", root, "--product", request.param)
    data, store, results = root / request.param, root / "store", root / "fit.json"
    output = training("fit", "--data", data, "--model", request.param, "--store", store, "--json", results)
    return Fitted(data, store, output, json.loads(results.read_text()))


@pytest.fixture(scope="module")
def server(fitted: Fitted) -> Iterator[Server]:
    with served(fitted.store, "--drain-seconds", "0.5", "--deadline-ms", "60000") as server:
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


def test_the_network_passes_90_percent(fitted: Fitted) -> None:
    """At the threshold that suits it best: the recipe's fixed 0.5 is luck from run to run (docs/results.md)."""
    rows = fitted.results["images"]
    assert len(rows) == 36
    scores = {label: [row["probability"] for row in rows if row["label"] == label] for label in ("good", "anomaly")}
    best = max(
        np.mean([np.mean(np.array(scores["anomaly"]) >= cut), np.mean(np.array(scores["good"]) < cut)])
        for cut in (row["probability"] for row in rows)
    )
    assert best > 0.9, fitted.output
    assert fitted.results["figures"]["auroc"]["value"] > 0.9, fitted.output


def test_fit_says_where_the_version_is_and_how_to_use_it(fitted: Fitted) -> None:
    model = fitted.data.name
    assert f"version 1 of '{model}' is in {fitted.store / model / '1'}" in fitted.output
    assert f"python -m app serve --store {fitted.store}" in fitted.output
    assert f"http://127.0.0.1:8000/v1/models/{model}/predict" in fitted.output


def test_every_held_out_image_is_served_as_it_was_measured(fitted: Fitted, server: Server) -> None:
    for row in fitted.results["images"]:
        reply = post(server, fitted.data / row["path"], heatmap="none")
        assert reply["probability"] == pytest.approx(row["probability"], abs=1e-5), row
        assert reply["label"] == ("anomaly" if row["probability"] >= row["threshold"] else "good")


def test_curls_three_forms_give_one_answer(fitted: Fitted, server: Server) -> None:
    path = next((fitted.data / "test").glob("c*/000.png"))
    data = path.read_bytes()
    url = f"{server.url}/v1/models/{fitted.data.name}/predict"
    replies = [
        post(server, path),
        httpx.post(url, files={"file": (path.name, data)}, timeout=PATIENCE).json(),
        httpx.post(url, json={"image": {"b64": base64.b64encode(data).decode()}}, timeout=PATIENCE).json(),
    ]
    for reply in replies:
        assert reply["probability"] == pytest.approx(replies[0]["probability"], abs=1e-6)
        assert (reply["model"], reply["model_version"]) == (fitted.data.name, 1)
        assert reply["heatmap"] == replies[0]["heatmap"]
    overlay = httpx.post(url, content=data, headers={"Accept": "image/png"}, timeout=PATIENCE)
    assert Image.open(io.BytesIO(overlay.content)).size == (256, 256)


def test_pictures_of_defects_are_bright_where_the_defect_is(fitted: Fitted, server: Server) -> None:
    """The brightest place lies on, or within two cells of, the mask for most held-out defects that were found."""
    hits = []
    for row in fitted.results["images"]:
        if row["label"] == "good" or row["probability"] < row["threshold"]:
            continue
        kind, name = Path(row["path"]).parts[-2:]
        mask = Image.open(fitted.data / "ground_truth" / kind / name.replace(".png", "_mask.png")).resize((224, 224))
        png = base64.b64decode(post(server, fitted.data / row["path"])["heatmap"])
        heatmap = np.asarray(Image.open(io.BytesIO(png)))
        assert heatmap.shape == (224, 224)
        y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
        near = np.asarray(mask)[max(0, y - 32) : y + 33, max(0, x - 32) : x + 33]
        hits.append(bool(near.any()))
    assert len(hits) >= 5
    assert np.mean(hits) > 0.6
