"""Models: versions pinned and rolled back, reports, challenge images; and keys."""

import json
from pathlib import Path

from tests.app.page.conftest import Workshop
from tests.support.browser import Browser


def test_a_key_is_asked_for_until_it_is_known(tab: Browser, workshop: Workshop) -> None:
    tab.open(f"{workshop.server.url}/docs")
    tab.value("sessionStorage.clear()")
    tab.open("about:blank")
    tab.problems.clear()
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


def test_a_version_is_pinned_and_rolled_back(keyed: Browser, workshop: Workshop) -> None:
    keyed.until("document.querySelectorAll('.models tbody tr').length >= 2")
    assert "Version 2 serves: the newest version that is loaded." in keyed.text(".models")
    assert "92.5 % (75.0 % to 98.0 %)" in keyed.text(".models")
    keyed.click("Pin version 1")
    keyed.until("document.querySelector('.models').innerText.includes('Version 1 serves: pinned in serving.json.')")
    assert workshop.get("/v1/models/capsule")["pinned"] == 1
    keyed.click("Undo the last change")
    keyed.until("document.querySelector('.models').innerText.includes('Version 2 serves')")
    assert workshop.get("/v1/models/capsule")["pinned"] is None


def test_challenge_images_are_run(keyed: Browser, workshop: Workshop) -> None:
    """One of a good and one of a defective part; the drawn network takes both for defective."""
    keyed.click("Run the challenge images")
    keyed.until("/of 2 challenge images/.test(document.querySelector('.models').innerText)")
    assert "1 of 2 challenge images were not decided as expected. good/0.png: reject, expected accept." in keyed.text(
        ".models"
    )
    keyed.until("document.querySelector('.models').innerText.includes('1 decided as expected, 1 not')")
    assert workshop.get("/v1/models/capsule/stats")["challenge"]["failed"] == 1


def test_a_report_is_saved(keyed: Browser, tmp_path: Path) -> None:
    saved = keyed.downloaded(tmp_path, "Save the report of version 2")
    assert saved.name == "capsule-2-report.html"
    assert "<svg" in saved.read_text()


def test_a_report_shows_under_its_policy(tab: Browser, workshop: Workshop) -> None:
    """Its styles hold, its charts and images are drawn, and the browser refuses nothing."""
    tab.send("Network.setExtraHTTPHeaders", headers={"Authorization": f"Bearer {workshop.key}"})
    try:
        tab.problems.clear()
        tab.open(f"{workshop.server.url}/v1/models/capsule/versions/1/report")
        charts = tab.value("[...document.querySelectorAll('svg')].map((each) => [each.clientWidth, each.clientHeight])")
        images = tab.value("[...document.images].map((each) => each.naturalWidth)")
        styled = tab.value("getComputedStyle(document.querySelector('.card')).borderTopStyle")
        inline = tab.value("[...document.querySelectorAll('svg [style]')].map((each) => each.style.length)")
    finally:
        tab.send("Network.setExtraHTTPHeaders", headers={})
    assert len(charts) >= 3
    assert all(width > 100 and height > 100 for width, height in charts)
    assert len(images) >= 2
    assert all(images)
    assert styled == "solid"
    assert all(inline)
    assert tab.problems == []
