"""Where images count: shown by the page, and drawn on it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.app.page.conftest import DARK, opened
from tests.app.page.test_appearance import look
from tests.support.artifacts import INPUT_SIZE, publish
from tests.support.browser import Browser
from tests.support.process import Server, served
from training.data.polygons import read_polygons

CANVAS = "document.querySelector('.viewer canvas')"


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service whose version looks at the left half alone."""
    root = tmp_path_factory.mktemp("half")
    left = np.zeros((INPUT_SIZE, INPUT_SIZE), np.bool_)
    left[:, : INPUT_SIZE // 2] = True
    publish(root, "capsule", roi=left)
    with served(root, "--deadline-ms", "60000") as server:
        server.wait_until_ready()
        yield server


@pytest.fixture
def dark(tmp_path: Path) -> Path:
    path = tmp_path / "dark.png"
    path.write_bytes(DARK)
    return path


def reds(page: Browser, share: float) -> list[int]:
    """Of the pixels from that share of the image on, a square, to a fifth further."""
    page.painted()
    expression = (
        f"((shown) => {{ const drawing = new OffscreenCanvas(shown.width, shown.height).getContext('2d'); "
        f"drawing.drawImage(shown, 0, 0); const size = Math.min(shown.width, shown.height); "
        f"const area = [(shown.width - size) / 2 + size * {share}, size / 4, size / 5, size / 2]; "
        f"return [...drawing.getImageData(...area).data].filter((_, at) => at % 4 === 0) }})({CANVAS})"
    )
    return list(page.value(expression))


def test_what_does_not_count_is_hatched(tab: Browser, half: Server, dark: Path) -> None:
    with opened(tab, half.url) as page:
        page.drop_files([dark], ".drop")
        page.until("document.querySelector('.banner')")
        page.until(f"{CANVAS}.ariaLabel.includes('dark')")
        page.value("document.activeElement.blur()")
        page.press(" ")  # without the heatmap
        page.value("document.querySelectorAll('.controls input[type=checkbox]')[1].click()")  # without regions
        assert max(reds(page, 0.2)) == 0
        right = reds(page, 0.65)
        assert max(right) > 60
        assert min(right) < 10
        for share, expected in ((0.3, r"\d+, \d+: heatmap .*"), (0.7, r"\d+, \d+: outside the region of interest")):
            x, y = spot(page, share, 0.5)
            page.mouse("mouseMoved", x, y)
            assert re.fullmatch(expected, page.until("document.querySelector('.under').innerText.trim()"))


def spot(page: Browser, across: float, down: float) -> tuple[float, float]:
    """Where on the screen this share of the image is, a square in the middle of the canvas."""
    x, y = page.middle(CANVAS)
    side = page.value(f"Math.min({CANVAS}.clientWidth, {CANVAS}.clientHeight)")
    return x + (across - 0.5) * side, y + (down - 0.5) * side


def click(page: Browser, across: float, down: float) -> None:
    x, y = spot(page, across, down)
    page.mouse("mouseMoved", x, y)
    page.mouse("mousePressed", x, y)
    page.mouse("mouseReleased", x, y)


@pytest.fixture
def drawing(page: Browser, dark: Path) -> Browser:
    """Inspect, with an image, to be drawn on."""
    page.drop_files([dark], ".drop")
    page.until(f"{CANVAS}.ariaLabel.includes('dark')")
    page.click("Draw where it counts")
    page.until("document.querySelector('.roi')?.checkVisibility()")
    return page


def saved(page: Browser, folder: Path) -> Path:
    folder.mkdir()
    path = page.downloaded(folder, "Save roi.json")
    assert path.name == "roi.json"
    return path


def test_areas_are_drawn_with_the_mouse(drawing: Browser, tmp_path: Path) -> None:
    for corner in ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8), (0.2, 0.2)):  # the first one closes it
        click(drawing, *corner)
    assert drawing.text(".polygons li").startswith("Counts, 4 corners")
    drawing.value("document.querySelector('.roi select').value = 'ignore'")
    for corner in ((0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6)):
        click(drawing, *corner)
    drawing.click("Close the area")
    polygons = read_polygons(saved(drawing, tmp_path / "saved"))
    inside = polygons.inside(100, 100)
    expected = np.zeros((100, 100), np.bool_)
    expected[20:80, 20:80] = True
    expected[40:60, 40:60] = False
    assert (inside ^ expected).mean() < 0.06
    assert "evaluate --recalibrate" in drawing.text(".roi [role=status]")
    drawing.click("Remove area 1")
    drawing.click("Remove area 1")
    assert drawing.value("document.querySelector('.roi .primary').disabled")


def test_areas_are_drawn_by_the_keyboard(drawing: Browser, tmp_path: Path) -> None:
    assert drawing.value(f"document.activeElement === {CANVAS}")
    drawing.press(" ")
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft"):
        for _ in range(5):
            drawing.press(key)
        drawing.press(" ")
    drawing.press("Backspace")
    drawing.press("Enter")
    assert drawing.text(".polygons li").startswith("Counts, 3 corners")
    (corners,) = json.loads(saved(drawing, tmp_path / "saved").read_text())["include"]
    assert corners[0][1] == corners[1][1] < corners[2][1]
    assert corners[0][0] < corners[1][0] == corners[2][0]


def test_areas_without_an_inside_are_refused(drawing: Browser) -> None:
    click(drawing, 0.2, 0.2)
    click(drawing, 0.8, 0.8)
    drawing.press("Enter")
    assert "needs three corners" in drawing.text(".roi [role=status]")
    click(drawing, 0.8, 0.2)
    click(drawing, 0.2, 0.8)
    drawing.press("Enter")
    assert "edges cross" in drawing.text(".roi [role=status]")
    drawing.press("Escape")
    assert drawing.text(".roi [role=status]") == "0 areas."
    assert drawing.value("document.querySelectorAll('.polygons li').length") == 0


def test_dragging_still_moves_the_image(drawing: Browser) -> None:
    drawing.drag(CANVAS, 60)
    assert "Corner" not in drawing.text(".roi [role=status]")


def test_it_looks_as_the_rest(drawing: Browser) -> None:
    for corner in ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.2)):
        click(drawing, *corner)
    look(drawing)
