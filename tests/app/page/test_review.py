"""Review: labels given by single keys."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.page.conftest import get, opened, post, recording
from tests.app.page.test_inspect import COLOURS, colours
from tests.support.browser import Browser
from tests.support.images import encoded
from tests.support.process import Server

SHOWN = "document.querySelector('.decision .name').firstChild.textContent"
PARTS = [f"part {seed}" for seed in range(6)]
"""Rejected all; the last ones nearest to the threshold."""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With nothing in its records but what these tests inspect."""
    with recording(tmp_path_factory.mktemp("recorded")) as server:
        yield server


def labels(server: Server) -> dict[str, str | None]:
    inspections = get(server, "/v1/inspections")["inspections"]
    return {each["part_id"]: each["labelled"] and each["labelled"]["label"] for each in inspections}


def test_without_records_review_says_so(tab: Browser, server: Server) -> None:
    with opened(tab, server.url, "review") as page:
        page.until("document.querySelector('#view').innerText.includes('This service keeps no records')")


def test_inspections_are_labelled_by_single_keys(tab: Browser, recorded: Server, tmp_path: Path) -> None:
    for seed, part in enumerate(PARTS):
        post(recorded, encoded(seed=seed), part)
    with opened(tab, recorded.url, "review") as page:

        def press(key: str) -> None:
            """And wait for another one."""
            before = page.value(SHOWN)
            page.press(key)
            page.until(f"{SHOWN} !== {json.dumps(before)}")

        page.until("document.querySelector('.viewer canvas').ariaLabel.startsWith('Part part ')")
        assert page.value(SHOWN) == PARTS[5]  # the order of value
        before = colours(page, PARTS[5])
        page.press(" ")
        page.until(f"{COLOURS} !== '{before}'")
        page.press(" ")
        page.until(f"{COLOURS} === '{before}'")
        press("a")
        assert page.value(SHOWN) == PARTS[4]
        page.press("r")
        page.until("document.querySelector('.kinds').checkVisibility()")
        page.press("Escape")
        page.until("!document.querySelector('.kinds').checkVisibility()")
        page.press("R")
        page.until("document.querySelector('.kinds').checkVisibility()")
        press("1")
        press("u")
        press("ArrowLeft")
        assert page.value(SHOWN) == PARTS[3]
        press("ArrowRight")
        assert page.value(SHOWN) == PARTS[2]
        page.until("document.querySelector('#view').innerText.includes('2 labels given')")
        assert labels(recorded) == {**dict.fromkeys(PARTS), PARTS[5]: "good", PARTS[4]: "crack"}
        page.click("Inspect")
        (tmp_path / f"{PARTS[4]}.png").write_bytes(encoded(seed=4))
        page.drop_files([tmp_path / f"{PARTS[4]}.png"], ".drop")
        page.until("document.querySelector('.history')?.innerText.includes('label crack')")


def test_what_disagrees_with_its_label_comes_back(tab: Browser, recorded: Server) -> None:
    """And at a pace of thirty a minute and more."""
    with opened(tab, recorded.url, "review") as page:
        page.until("document.querySelector('.viewer canvas').ariaLabel.startsWith('Part part ')")
        assert "1 of 5" in page.text("#view")  # four without a label, and a reject that is good
        for _ in range(4):
            page.press("ArrowRight")
        page.until(f"{SHOWN} === {json.dumps(PARTS[5])}")
        assert "Label: good" in page.text(".details")
