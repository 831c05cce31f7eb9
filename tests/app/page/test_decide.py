"""Decide: thresholds moved, applied and undone."""

import pytest

from model.verdict import Decision, Thresholds, sigmoid
from tests.app.page.conftest import Workshop, opened, post
from tests.support.browser import Browser
from tests.support.images import encoded
from tests.support.process import Server

TABLE = "[...document.querySelectorAll('.counts td')].map((each) => Number(each.innerText))"
NAMES: tuple[Decision, ...] = ("accept", "review", "reject")


def recount(workshop: Workshop, bounds: dict[str, float]) -> list[int]:
    """As the service decides."""
    thresholds = Thresholds(bounds["review"], bounds["review"], bounds["reject"])
    decisions = [
        [thresholds.decision_of(sigmoid(each)) for each in workshop.measured[kind]] for kind in ("good", "dent")
    ]
    return [each.count(name) for each in decisions for name in NAMES]


def bounds(page: Browser) -> dict[str, float]:
    """As the handles say."""
    value = "Number(document.querySelector('.handle.{}').getAttribute('aria-valuenow')) / 100"
    return {name: page.value(value.format(name)) for name in ("review", "reject")}


def test_thresholds_are_moved_applied_and_undone(keyed: Browser, workshop: Workshop) -> None:
    """The table's counts are those of a recount."""
    keyed.click("Decide")
    before = workshop.get("/v1/models/capsule")["versions"][0]["thresholds"]
    keyed.until(f"{TABLE}.length === 6")
    assert keyed.value(TABLE) == recount(workshop, before)
    for handle, key, times in (("review", "PageDown", 2), ("reject", "PageUp", 2), ("review", "ArrowRight", 3)):
        keyed.value(f"document.querySelector('.handle.{handle}').focus()")
        for _ in range(times):
            keyed.press(key)
        assert keyed.value(TABLE) == recount(workshop, bounds(keyed))
    keyed.click("Apply")
    keyed.until("document.querySelector('.decide [role=status]').innerText === 'In force.'")
    applied = workshop.get("/v1/models/capsule")["versions"][0]
    assert applied["thresholds_source"] == "serving.json"
    assert applied["thresholds"]["review"] < before["review"] < before["reject"] < applied["thresholds"]["reject"]
    assert keyed.value(TABLE) == recount(workshop, applied["thresholds"])
    keyed.until("![...document.querySelectorAll('.decide button')].at(-1).disabled")
    keyed.click("Undo the last change")
    keyed.until(f"String({TABLE}) === '{','.join(map(str, recount(workshop, before)))}'")
    assert workshop.get("/v1/models/capsule")["versions"][0]["thresholds_source"] == "version"


def test_handles_are_dragged(keyed: Browser, workshop: Workshop) -> None:
    """Figures follow while the mouse moves, and the handles don't pass each other."""
    keyed.click("Decide")
    keyed.until(f"{TABLE}.length === 6")
    before = bounds(keyed)
    keyed.drag("document.querySelector('.handle.review .grip')", -150)
    dragged = bounds(keyed)
    assert dragged["review"] < before["review"] / 4
    assert dragged["reject"] == before["reject"]
    assert keyed.value(TABLE) == recount(workshop, dragged)
    keyed.drag("document.querySelector('.handle.reject .grip')", 130)
    wide = bounds(keyed)
    assert wide["reject"] > before["reject"]
    assert keyed.value(TABLE) == recount(workshop, wide)
    shares = keyed.value("[...document.querySelectorAll('.rates strong')].map((each) => parseFloat(each.innerText))")
    good, dent = recount(workshop, wide)[:3], recount(workshop, wide)[3:]
    assert shares[:2] == [
        pytest.approx(100 * dent[0] / sum(dent), abs=0.01),
        pytest.approx(100 * good[2] / sum(good), abs=0.01),
    ]
    keyed.drag("document.querySelector('.handle.review .grip')", 900)
    passed = bounds(keyed)
    assert passed["review"] == passed["reject"] > wide["reject"]
    keyed.click("Back to what is in force")
    keyed.until(f"String({TABLE}) === '{','.join(map(str, recount(workshop, before)))}'")


def test_the_line_s_last_parts_are_below(tab: Browser, line: Server) -> None:
    """Without a report there is nothing to decide by, and it says so."""
    for seed in range(3):
        post(line, encoded(seed=seed), f"spring {seed}")
    with opened(tab, line.url, "decide") as page:
        page.until("document.querySelector('.decide').innerText.includes('has no report.json')")
        (problem,) = page.problems
        assert "404" in problem
        page.problems.clear()
