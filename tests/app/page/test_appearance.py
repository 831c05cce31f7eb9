"""How the page looks: two sizes, light and dark, contrast as the browser computes it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.app.page.conftest import DARK, SEEDS, Workshop, opened, post
from tests.support.browser import PHONE, WIDE, Browser
from tests.support.images import encoded
from tests.support.process import Server

LOW_CONTRAST = """(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [red, green, blue] = numbers(colour).map((each) => each / 255);
    const linear = [red, green, blue].map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (numbers(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  let seen = 0;
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const hidden = !element.checkVisibility() || element.closest("noscript, option, .skip, :disabled, title");
    if (!texts.currentNode.data.trim() || hidden) continue;
    seen++;
    const style = getComputedStyle(element);
    const ink = element instanceof SVGElement ? style.fill : style.color;
    const [dark, light] = [luminance(ink), luminance(ground(element))].sort((a, b) => a - b);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const contrast = (light + 0.05) / (dark + 0.05);
    if (contrast < (isLarge ? 3 : 4.5)) found.push(`${texts.currentNode.data.trim()}: ${contrast.toFixed(2)}`);
  }
  return { found, seen };
})()"""
"""Texts with less contrast than WCAG 2.2 asks for (AA, 1.4.3), and how many were looked at."""


@contextmanager
def inspect(tab: Browser, line: Server, folder: Path) -> Iterator[Browser]:
    paths = [folder / f"{name}.png" for name in (*SEEDS, "dark")]
    for path, content in zip(paths, [*(encoded(seed=seed) for seed in SEEDS.values()), DARK], strict=True):
        path.write_bytes(content)
    with opened(tab, line.url) as page:
        page.drop_files(paths, ".drop")
        page.until("document.querySelectorAll('.items .chip').length === 4")
        yield page


@contextmanager
def live(tab: Browser, line: Server, folder: Path) -> Iterator[Browser]:
    with opened(tab, line.url, "live") as page:
        page.until("document.querySelector('.live').innerText.includes('Connected.')")
        for seed in SEEDS.values():
            post(line, encoded(seed=seed), f"{folder.name} {seed}")
        post(line, DARK, f"{folder.name} dark")
        page.until("document.querySelectorAll('.last-parts li:not([hidden])').length === 4")
        page.value(
            "document.querySelector('.live > div').append(Object.assign(document.createElement('p'), "
            "{ className: 'alarm', textContent: 'Drift: the brightness of images has fallen.' }))"
        )
        yield page


@contextmanager
def review(tab: Browser, line: Server, folder: Path) -> Iterator[Browser]:
    post(line, encoded(seed=SEEDS["review"]), f"{folder.name} review")
    with opened(tab, line.url, "review") as page:
        page.until("document.querySelector('.viewer canvas').ariaLabel.startsWith('Part ')")
        page.press("r")
        yield page


def look(page: Browser) -> None:
    for size in (WIDE, PHONE):
        page.resize(*size)
        for scheme in ("light", "dark"):
            page.colours(scheme)
            page.painted()
            assert page.value("document.documentElement.scrollWidth") <= size[0]
            page.until(f"{LOW_CONTRAST}.seen > 15")
            assert page.value(LOW_CONTRAST)["found"] == [], (size, scheme)


@pytest.mark.parametrize("view", [inspect, live, review])
def test_views_of_the_line(tab: Browser, line: Server, tmp_path: Path, view: object) -> None:
    assert callable(view)
    with view(tab, line, tmp_path) as page:
        look(page)


@pytest.mark.parametrize(("view", "there"), [("decide", ".counts td"), ("models", ".models tbody tr")])
def test_views_of_versions(tab: Browser, workshop: Workshop, view: str, there: str) -> None:
    with opened(tab, workshop.server.url, view, workshop.key) as page:
        page.until(f"document.querySelector({json.dumps(there)})")
        look(page)


def test_the_check_of_contrast_can_fail(page: Browser) -> None:
    page.value("document.querySelector('h1').style.color = '#888'")
    assert [each.partition(":")[0] for each in page.value(LOW_CONTRAST)["found"]] == ["Camspector"]
