"""The inspection page in a real browser, and services for it to ask."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image

from app.middleware.keys import new_key
from model.serving import SERVING
from tests.support.artifacts import publish
from tests.support.browser import CHROMIUM, NO_CHROMIUM, WIDE, Browser, browser
from tests.support.images import encoded
from tests.support.process import PATIENCE, Server, served
from tests.training.conftest import part_image, save
from tests.training.predictions import prediction
from training.evaluation.figures import measure
from training.report.report import DataSummary, Report, Subject
from training.report.writer import write_report

DEFECT_RATE = 1 / 3
"""Of `publish`."""
SEEDS = {"reject": 0, "review": 6, "accept": 10}
"""Of images of which `line` says so."""
DARK = encoded(brightness=0)
"""What its gate doesn't let through."""


@pytest.fixture(scope="session")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip(NO_CHROMIUM)
    with browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@contextmanager
def opened(tab: Browser, url: str, view: str = "", key: str | None = None) -> Iterator[Browser]:
    """Newly; nothing may go wrong in it, and it may ask nobody else."""
    tab.resize(*WIDE)
    tab.colours("light")
    tab.open("about:blank")
    keep = f"sessionStorage.setItem('camspector-key', {json.dumps(key)})" if key else ""
    script = tab.send("Page.addScriptToEvaluateOnNewDocument", source=f"sessionStorage.clear(); {keep}")["identifier"]
    tab.problems.clear()
    tab.requests.clear()
    tab.open(f"{url}/#{view}")
    tab.send("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
    tab.until("document.querySelector('#model').value === 'capsule' && document.querySelector('main').children.length")
    yield tab
    assert tab.problems == []
    asked = {urlsplit(each).netloc for each in tab.requests if not each.startswith(("blob:", "about:", "data:"))}
    assert asked == {urlsplit(url).netloc}


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that keeps records and images, and whose decisions differ."""
    with recording(tmp_path_factory.mktemp("line")) as server:
        yield server


@contextmanager
def recording(root: Path, *flags: str) -> Iterator[Server]:
    publish(root / "store", "capsule", slope=0.6, limits={"brightness": (20.0, 255.0)})
    thresholds = {"thresholds": {"review": 0.735, "label": 0.75, "reject": 0.77}}
    (root / "store" / "capsule" / SERVING).write_text(json.dumps(thresholds))
    records = ["--records", str(root / "records"), "--records-images", "review"]
    with served(root / "store", *records, "--deadline-ms", "60000", *flags) as server:
        server.wait_until_ready()
        yield server


@pytest.fixture
def page(tab: Browser, line: Server) -> Iterator[Browser]:
    with opened(tab, line.url) as page:
        yield page


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """One of each decision."""
    paths = [tmp_path / f"part {name}.png" for name in SEEDS]
    for path, seed in zip(paths, SEEDS.values(), strict=True):
        path.write_bytes(encoded(seed=seed))
    return paths


def post(server: Server, image: bytes, part_id: str | None = None) -> dict[str, Any]:
    headers = {"X-Part-ID": part_id.replace(" ", "%20")} if part_id else {}
    reply = httpx.post(f"{server.url}/predict", content=image, headers=headers, timeout=PATIENCE)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def get(server: Server, path: str, key: str = "") -> Any:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.get(f"{server.url}{path}", headers=headers, timeout=PATIENCE).json()


@dataclass(frozen=True)
class Workshop:
    """A service whose store can be written, with keys, and versions that have reports."""

    server: Server
    key: str
    measured: dict[str, list[float]]
    """Log-odds by kind."""

    def get(self, path: str) -> Any:
        return get(self.server, path, self.key)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    root = tmp_path_factory.mktemp("workshop")
    measured = {"good": [-6.0, -4.5, -4.0, -3.0, -2.5, -0.5, 0.5], "dent": [-1.5, 1.0, 3.0, 5.0]}
    for _ in range(2):
        report = publish(root / "store", "capsule") / "report"
        report.mkdir()
        (report / "report.html").write_bytes(real_report(root / "report"))
        images = {"defect_rate": DEFECT_RATE, "log_odds": measured}
        (report / "report.json").write_text(json.dumps({"measured_images": images}))
    for kind in ("good", "dent"):
        save(root / "store" / "capsule" / "challenge" / kind / "0.png", part_image(0, defective=kind == "dent"))
    secret, key = new_key("admin", "tester")
    (root / "keys").write_text(f"{key.line}\n")
    flags = ["--keys-file", str(root / "keys"), "--deadline-ms", "60000", "--store-poll-seconds", "60"]
    with served(root / "store", *flags, may_write=True) as server:
        server.wait_until_ready()
        server.wait_until_loaded("capsule", 1, Authorization=f"Bearer {secret}")
        yield Workshop(server, secret, measured)


@pytest.fixture
def keyed(tab: Browser, workshop: Workshop) -> Iterator[Browser]:
    """Opened with a key."""
    with opened(tab, workshop.server.url, "models", workshop.key) as page:
        yield page


def real_report(folder: Path) -> bytes:
    """As training writes it: with charts, and with images."""
    image = save(folder / "image.png", part_image(0, defective=True))
    mask = save(folder / "mask.png", Image.fromarray(np.pad(np.full((8, 8), 255, np.uint8), 20)))
    said = [
        prediction("dent", probability, name=f"dent-{probability}.png", mask=mask, fold=index % 2)
        for index, probability in enumerate([0.9, 0.8, 0.3])
    ] + [
        prediction("good", probability, name=f"good-{probability}.png", fold=index % 2)
        for index, probability in enumerate([0.1, 0.2, 0.6, 0.05, 0.02])
    ]
    predictions = [replace(each, sample=replace(each.sample, path=image)) for each in said]
    data = DataSummary({"good": 5, "dent": 3}, 2, {"48×48": 8}, "ab" * 32)
    subject = Subject(
        model="capsule",
        version=1,
        created="2026-11-23T22:41:07+00:00",
        command="python -m training fit",
        recipe={"name": "own"},
        input_size=64,
        full_scale=None,
        data=data,
        seconds={"training": 75.0},
        rule="a fixed one",
    )
    return write_report(folder, Report(subject, predictions, measure(predictions, "eight images")))[0].read_bytes()
