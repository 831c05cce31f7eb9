"""Live, while parts come."""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.app.page.conftest import DARK, SEEDS, post
from tests.support.browser import Browser
from tests.support.images import encoded
from tests.support.process import Server

PARTS = ".last-parts li:not([hidden])"
SHARES = ("Accepted", "For review", "Rejected", "Not inspectable")
READABLE = 48
"""Pixels of the type where the screen has 1280: on a screen of 24 inches, 53 cm wide, capitals (0.72 of it) are 14 mm
high, which is 16 minutes of arc from three metres: the least that ISO 9241-303 asks for."""


@pytest.fixture
def live(page: Browser) -> Iterator[Browser]:
    page.click("Live")
    page.until("document.querySelector('.live').innerText.includes('Connected.')")
    yield page
    page.click("Inspect")
    page.until("document.querySelector('.inspect')")


def tiles(page: Browser) -> dict[str, str]:
    pairs = page.value(
        "[...document.querySelectorAll('.tiles > div')].map((each) => [...each.children].map((one) => one.innerText))"
    )
    return dict(pairs)


def test_parts_appear_as_they_come(live: Browser, line: Server) -> None:
    for name, seed in SEEDS.items():
        reply = post(line, encoded(seed=seed), f"bolt {name}")
        live.until(f"document.querySelector('.huge').innerText.includes('bolt {name}')")
        assert live.text(".huge strong").lower() == reply["decision"] == name
    post(line, DARK, "dark one")
    live.until("document.querySelector('.huge strong').innerText === 'Not inspectable'")
    names = live.value(f"[...document.querySelectorAll('{PARTS} .name')].map((each) => each.innerText)")
    assert names == ["dark one", "bolt accept", "bolt review", "bolt reject"]
    live.until("document.querySelector('.live').innerText.includes('4 parts. Not inspectable by: brightness 1.')")
    shown = tiles(live)
    assert 1 <= int(shown.pop("Parts a minute")) <= 4
    assert shown == dict.fromkeys(SHARES, "25.0 %")
    assert live.value("document.querySelector('.minutes').ariaLabel").startswith(
        "Decisions per minute, the present one first: "
    )
    heights = live.value(
        "['accept', 'review', 'reject', 'not-inspectable'].map((name) => [...document.querySelectorAll("
        "`.minutes .${name}`)].reduce((sum, each) => sum + Number(each.getAttribute('height')), 0))"
    )
    assert len({round(each, 3) for each in heights}) == 1
    assert heights[0] > 10


def test_images_come_after_their_parts(live: Browser, line: Server) -> None:
    """The image with its heatmap where it is kept, else the heatmap alone; the last reject's is large, and stays."""
    replies = {name: post(line, encoded(seed=seed), f"nut {name}") for name, seed in SEEDS.items()}
    live.until(f"[...document.querySelectorAll('{PARTS} canvas')].filter((each) => each.height === 320).length === 3")
    assert "Last reject: nut reject" in live.text(".last-reject")
    assert live.value("document.querySelector('.last-reject canvas').clientHeight") > 200
    middles = live.value(
        f"[...document.querySelectorAll('{PARTS} canvas, .last-reject canvas')].map((each) => "
        "each.getContext('2d').getImageData(160, 160, 1, 1).data.join())"
    )
    assert middles[0] == middles[3]  # the last reject stands first on the page, and is the oldest of the parts
    assert len(set(middles)) == 3
    kept = {urlsplit(each).path.split("/")[3] for each in live.requests if each.endswith("/image")}
    drawn = {urlsplit(each).path.split("/")[3] for each in live.requests if each.endswith("/heatmap")}
    assert kept == {replies[name]["inference_id"] for name in ("reject", "review")}
    assert drawn == kept | {replies["accept"]["inference_id"]}


def test_it_can_be_read_from_three_metres(live: Browser, line: Server) -> None:
    post(line, encoded(seed=SEEDS["reject"]), "washer 1")
    live.until("document.querySelector('.huge')")
    for selector in (".huge strong", ".huge span", ".tiles dd"):
        assert live.value(f"parseFloat(getComputedStyle(document.querySelector('{selector}')).fontSize)") >= READABLE, (
            selector
        )


def test_a_browser_that_does_not_look_keeps_what_came_last(live: Browser, line: Server) -> None:
    """However many come while it is busy."""
    live.value("setTimeout(() => { const until = Date.now() + 1500; while (Date.now() < until); }, 0)")
    for number in range(20):
        post(line, encoded(seed=number), f"screw {number}")
    live.until("document.querySelector('.huge').innerText.includes('screw 19')")
    assert live.value("document.querySelectorAll('.last-parts li').length") == 12
    live.until("document.querySelector('.live').innerText.includes('5 minutes, 20 parts.')")


def test_drift_is_told(live: Browser) -> None:
    """Its alarms, large, and what is nearest to one."""
    levels = [("brightness", "down", 1.2), ("sharpness", "up", 0.4)]
    drift = {
        "parts_per_false_alarm": 100_000,
        "levels": [{"quantity": quantity, "change": change, "level": level} for quantity, change, level in levels],
        "alarms": [{"text": "the brightness of images has fallen: 61 on average over the last 12 parts"}],
    }
    live.value(
        "window.real = fetch; window.fetch = async (url, options) => String(url).endsWith('/stats') ? "
        f"new Response({json.dumps(json.dumps({'drift': drift}))}) : real(url, options)"
    )
    live.until("document.querySelector('.alarm')")
    assert live.text(".alarm") == "Drift: the brightness of images has fallen: 61 on average over the last 12 parts."
    assert "Drift: 1 alarm. The nearest to its limit is brightness down: 120 %." in live.text(".live")
