"""The inspection page at /, used as a person would, in a real browser."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from app.middleware.keys import new_key
from model.verdict import Thresholds, sigmoid
from tests.support.artifacts import publish
from tests.support.browser import CHROMIUM, NO_CHROMIUM, PHONE, WIDE, Browser, browser
from tests.support.images import encoded
from tests.support.process import PATIENCE, Server, served

DEFECT_RATE = 1 / 3
"""Of `publish`."""
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def page(tab: Browser, server: Server) -> Iterator[Browser]:
    """Newly opened; nothing may have gone wrong in it, and it may have asked nobody else."""
    tab.problems.clear()
    tab.requests.clear()
    tab.send("Page.navigate", url="about:blank")
    tab.resize(*WIDE)
    tab.open(f"{server.url}/")
    tab.until("document.querySelector('#model').value === 'capsule'")
    yield tab
    assert tab.problems == []
    assert {urlsplit(each).netloc for each in tab.requests if not each.startswith(("blob:", "about:"))} == {
        urlsplit(server.url).netloc
    }


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"part {number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_bytes(encoded(seed=number))
    return paths


@needs_chromium
def test_images_are_chosen_inspected_and_stepped_through(page: Browser, server: Server, images: list[Path]) -> None:
    page.click("Choose images")
    page.choose_files(images)
    page.until("document.querySelector('.row')?.innerText.includes('3 of 3 images inspected')")
    verdicts = [
        httpx.post(f"{server.url}/predict", content=path.read_bytes(), timeout=PATIENCE).json() for path in images
    ]
    chips = page.value("[...document.querySelectorAll('.items .chip')].map((each) => each.className.split(' ')[1])")
    assert chips == [verdict["decision"] for verdict in verdicts]
    for index, (path, verdict) in enumerate(zip(images, verdicts, strict=True)):
        page.until(f"document.querySelector('.decision .name').innerText === {json.dumps(path.name)}")
        assert page.text(".banner strong") == verdict["decision"].capitalize()
        assert f"part {index}" in page.text(".facts")
        assert "capsule, version 2" in page.text(".facts")
        page.press("ArrowRight")
    page.press("ArrowLeft")
    page.until(f"document.querySelector('.decision .name').innerText === {json.dumps(images[1].name)}")


@needs_chromium
def test_a_dropped_image_shows_its_heatmap(page: Browser, images: list[Path]) -> None:
    page.drop_files(images[:1], ".drop")
    page.until("document.querySelector('.banner')")
    page.until("document.querySelector('.viewer canvas').ariaLabel.includes('part 0.png: ')")
    colours = (
        "((shown) => { const pixel = new OffscreenCanvas(1, 1).getContext('2d'); "
        "pixel.drawImage(shown, -shown.width / 2, -shown.height / 2); "
        "return pixel.getImageData(0, 0, 1, 1).data.join() })(document.querySelector('.viewer canvas'))"
    )
    page.until(f"{colours} !== '0,0,0,0'")
    before = page.value(colours)
    page.value("document.activeElement.blur()")
    page.press(" ")
    page.until(f"{colours} !== '{before}'")
    page.press(" ")
    page.until(f"{colours} === '{before}'")
    x, y = page.middle("document.querySelector('.viewer canvas')")
    page.mouse("mouseMoved", x, y)
    assert re.fullmatch(
        r"\d+, \d+: heatmap [01]\.\d\d.*", page.until("document.querySelector('.under').innerText.trim()")
    )


@needs_chromium
def test_what_is_no_image_says_so(page: Browser, tmp_path: Path, images: list[Path]) -> None:
    (tmp_path / "broken.png").write_bytes(images[0].read_bytes()[:60])
    page.click("Choose images")
    page.choose_files([tmp_path / "broken.png"])
    page.until("document.querySelector('.decision .problem')")
    assert "1 of 1 image inspected: 1 error" in page.text(".row")
    (problem,) = page.problems  # the browser's own line on status 422
    assert "422" in problem
    page.problems.clear()


@needs_chromium
def test_parts_appear_as_they_come(page: Browser, server: Server, images: list[Path]) -> None:
    page.click("Live")
    page.until("document.querySelector('.live').innerText.includes('Connected.')")
    for number, path in enumerate(images):
        headers = {"X-Part-ID": f"bolt%20{number}"}
        reply = httpx.post(f"{server.url}/predict", content=path.read_bytes(), headers=headers, timeout=PATIENCE)
        page.until(f"document.querySelector('.huge').innerText.includes('bolt {number}')")
        assert page.text(".huge strong") == reply.json()["decision"].capitalize()
    assert page.value("document.querySelectorAll('.last-parts li').length") == 3
    assert "3 parts" in page.text(".live")
    page.click("Inspect")


@needs_chromium
def test_without_records_review_says_so(page: Browser) -> None:
    page.click("Review")
    page.until("document.querySelector('#view').innerText.includes('This service keeps no records')")


@dataclass(frozen=True)
class Workshop:
    """A service whose store can be written, with keys, and versions that have reports."""

    server: Server
    key: str
    measured: dict[str, list[float]]
    """Log-odds by kind."""

    def get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.get(f"{self.server.url}{path}", headers=headers, timeout=PATIENCE).json()


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    root = tmp_path_factory.mktemp("workshop")
    measured = {"good": [-6.0, -4.5, -4.0, -3.0, -2.5, -0.5, 0.5], "dent": [-1.5, 1.0, 3.0, 5.0]}
    for _ in range(2):
        report = publish(root / "store", "capsule") / "report"
        report.mkdir()
        (report / "report.html").write_text("<p>how good it is")
        images = {"defect_rate": DEFECT_RATE, "log_odds": measured}
        (report / "report.json").write_text(json.dumps({"measured_images": images}))
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
    tab.resize(*WIDE)
    tab.open(f"{workshop.server.url}/#models")
    if tab.until("document.querySelector('#key-dialog').open || document.querySelector('#model').value") is True:
        tab.type(workshop.key)
        tab.press("Enter")
    tab.until("document.querySelector('#model').value === 'capsule'")
    tab.problems.clear()  # 401, before
    yield tab
    assert tab.problems == []


@needs_chromium
def test_a_key_is_asked_for_until_it_is_known(tab: Browser, workshop: Workshop) -> None:
    tab.open(f"{workshop.server.url}/")
    for key, reason in (("wrong", "The service doesn't know the key that was given."), (workshop.key, "")):
        tab.until("document.querySelector('#key-dialog').open")
        tab.type(key)
        tab.press("Enter")
        if reason:
            tab.until(f"document.querySelector('#key-reason').innerText === {json.dumps(reason)}")
    tab.until("document.querySelector('#model').value === 'capsule'")
    assert tab.value("document.querySelector('#key').value") == ""
    assert tab.value("localStorage.length") == 0
    assert {"401" in problem for problem in tab.problems} == {True}
    tab.problems.clear()


@needs_chromium
def test_a_version_is_pinned_and_rolled_back(keyed: Browser, workshop: Workshop) -> None:
    keyed.click("Models")
    keyed.until("document.querySelectorAll('.models tbody tr').length >= 2")
    assert "Version 2 serves: the newest version that is loaded." in keyed.text(".models")
    assert "92.5 % (75.0 % to 98.0 %)" in keyed.text(".models")
    keyed.click("Pin version 1")
    keyed.until("document.querySelector('.models').innerText.includes('Version 1 serves: pinned in serving.json.')")
    assert workshop.get("/v1/models/capsule")["pinned"] == 1
    keyed.click("Undo the last change")
    keyed.until("document.querySelector('.models').innerText.includes('Version 2 serves')")
    assert workshop.get("/v1/models/capsule")["pinned"] is None


@needs_chromium
def test_thresholds_are_moved_applied_and_undone(keyed: Browser, workshop: Workshop) -> None:
    """The table's counts are those of a recount."""
    keyed.click("Decide")
    before = workshop.get("/v1/models/capsule")["versions"][0]["thresholds"]
    table = "[...document.querySelectorAll('.counts td')].map((each) => Number(each.innerText))"
    keyed.until(f"{table}.length === 6")

    def recount(bounds: dict[str, float]) -> list[int]:
        thresholds = Thresholds(bounds["review"], bounds["review"], bounds["reject"])
        decisions = [
            [thresholds.decision_of(sigmoid(each)) for each in workshop.measured[kind]] for kind in ("good", "dent")
        ]
        return [each.count(name) for each in decisions for name in ("accept", "review", "reject")]

    assert keyed.value(table) == recount(before)
    for handle, key, times in (("review", "PageDown", 2), ("reject", "PageUp", 2), ("review", "ArrowRight", 3)):
        keyed.value(f"document.querySelector('.handle.{handle}').focus()")
        for _ in range(times):
            keyed.press(key)
        now = {
            name: keyed.value(f"document.querySelector('.handle.{name}').getAttribute('aria-valuenow')")
            for name in before
            if name != "label"
        }
        assert keyed.value(table) == recount({name: float(value) / 100 for name, value in now.items()})
    keyed.click("Apply")
    keyed.until("document.querySelector('.decide [role=status]').innerText === 'In force.'")
    applied = workshop.get("/v1/models/capsule")["versions"][0]
    assert applied["thresholds_source"] == "serving.json"
    assert applied["thresholds"]["review"] < before["review"] < before["reject"] < applied["thresholds"]["reject"]
    assert keyed.value(table) == recount(applied["thresholds"])
    keyed.until("![...document.querySelectorAll('.decide button')].at(-1).disabled")
    keyed.click("Undo the last change")
    keyed.until(f"String({table}) === {json.dumps(','.join(map(str, recount(before))))}")
    assert workshop.get("/v1/models/capsule")["versions"][0]["thresholds_source"] == "version"


@needs_chromium
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_nothing_is_cut_off(page: Browser, images: list[Path], size: tuple[int, int]) -> None:
    page.resize(*size)
    page.click("Choose images")
    page.choose_files(images)
    page.until("document.querySelectorAll('.items .chip').length === 3")
    assert page.value("document.documentElement.scrollWidth") <= size[0]


@pytest.fixture(scope="module")
def recorded(capsule_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that keeps records and images."""
    flags = ["--records", str(tmp_path_factory.mktemp("records")), "--records-images", "all"]
    with served(capsule_store, *flags, "--deadline-ms", "60000") as server:
        server.wait_until_ready()
        server.wait_until_loaded("capsule", 1)
        yield server


@needs_chromium
def test_inspections_are_labelled_by_single_keys(tab: Browser, recorded: Server, images: list[Path]) -> None:
    tab.problems.clear()
    tab.resize(*WIDE)
    tab.open(f"{recorded.url}/")
    tab.until("document.querySelector('#model').value === 'capsule'")
    for path in images:
        headers = {"X-Part-ID": path.stem.replace(" ", "%20")}
        httpx.post(f"{recorded.url}/predict", content=path.read_bytes(), headers=headers, timeout=PATIENCE)

    def labels() -> dict[str, str | None]:
        inspections = httpx.get(f"{recorded.url}/v1/inspections", timeout=PATIENCE).json()["inspections"]
        return {each["part_id"]: each["labelled"] and each["labelled"]["label"] for each in inspections}

    tab.click("Review")
    tab.until("document.querySelector('.viewer canvas').ariaLabel.startsWith('Part part ')")
    shown = "document.querySelector('.decision .name').firstChild.textContent"
    first = tab.value(shown)
    tab.press("a")
    tab.until(f"{shown} !== {json.dumps(first)}")
    second = tab.value(shown)
    tab.press("r")
    tab.until("document.querySelector('.kinds').checkVisibility()")
    tab.press("1")
    tab.until("document.querySelector('#view').innerText.includes('2 labels given')")
    (third,) = {path.stem for path in images} - {first, second}
    assert labels() == {first: "good", second: "crack", third: None}
    tab.click("Inspect")
    tab.drop_files([path for path in images if path.stem == second], ".drop")
    tab.until("document.querySelector('.history')?.innerText.includes('label crack')")
    assert tab.problems == []
