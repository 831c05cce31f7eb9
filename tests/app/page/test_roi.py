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

SIDE = [96, 96]
"""Of DARK."""
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


def opened_file(page: Browser, path: Path) -> None:
    page.click("Open roi.json")
    page.choose_files([path])


def test_a_file_is_opened_changed_and_saved_again(drawing: Browser, tmp_path: Path) -> None:
    """Drawn on an image of twice the size; what was drawn before stays."""
    side = SIDE
    first = {"image": {"width": 2 * side[0], "height": 2 * side[1]}, "include": [corners_of(side, 0.2, 0.8, 2)]}
    path = tmp_path / "roi.json"
    path.write_text(json.dumps(first | {"ignore": [corners_of(side, 0.4, 0.6, 2)]}))
    for corner in ((0.05, 0.05), (0.15, 0.05), (0.15, 0.15), (0.05, 0.05)):
        click(drawing, *corner)
    opened_file(drawing, path)
    drawing.until("document.querySelectorAll('.polygons li').length === 3")
    drawing.click("Change area 2")
    click(drawing, 0.8, 0.8)
    click(drawing, 0.9, 0.9)
    drawing.press("Enter")
    drawing.click("Change area 1")
    click(drawing, 0.05, 0.05)
    click(drawing, 0.5, 0.5)
    drawing.press("Escape")  # as it was
    drawing.until("document.querySelectorAll('.polygons li').length === 3")
    polygons = read_polygons(saved(drawing, tmp_path / "saved"))
    assert [polygons.image.width, polygons.image.height] == side
    assert len(polygons.ignore) == 1
    inside = polygons.inside(100, 100)
    assert inside[22:38, 22:78].all()
    assert not inside[42:58, 42:58].any()
    assert inside[83, 83]  # within the corner that was moved
    assert inside[8, 12]
    assert not inside[30, 5]


def corners_of(side: list[int], low: float, high: float, scale: int) -> list[list[float]]:
    """A square's."""
    shares = ((low, low), (high, low), (high, high), (low, high))
    return [[scale * side[0] * across, scale * side[1] * down] for across, down in shares]


SQUARE = [[1, 1], [9, 1], [9, 9], [1, 9]]


TEN = {"width": 10, "height": 10}
CROSSED = [SQUARE[corner] for corner in (0, 2, 1, 3)]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "It isn't a roi.json."),
        ([], "It doesn't say of which size its image is."),
        ({"image": {"width": 0, "height": 9}}, "of which size"),
        ({"image": TEN}, "has no area"),
        ({"image": {"width": 20, "height": 10}, "include": [SQUARE]}, "It is for images of 20×10"),
        ({"image": TEN, "include": {}}, "under include isn't a list"),
        ({"image": TEN, "ignore": [SQUARE[:2]]}, "Area 1 of ignore isn't a list of 3"),
        ({"image": {"width": 8, "height": 8}, "ignore": [SQUARE]}, "a corner outside its image: [9,1]"),
        ({"image": TEN, "include": [SQUARE, CROSSED]}, "Area 2 of include crosses itself"),
    ],
)
def test_what_is_no_region_of_interest_is_refused_and_nothing_is_lost(
    drawing: Browser, tmp_path: Path, content: object, problem: str
) -> None:
    for corner in ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.2)):
        click(drawing, *corner)
    path = tmp_path / "roi.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    opened_file(drawing, path)
    drawing.until("document.querySelector('.roi [role=status]').innerText.startsWith('roi.json: ')")
    assert problem in drawing.text(".roi [role=status]")
    assert drawing.value("document.querySelectorAll('.polygons li').length") == 1


def test_dragging_still_moves_the_image(drawing: Browser) -> None:
    drawing.drag(CANVAS, 60)
    assert "Corner" not in drawing.text(".roi [role=status]")


def test_it_looks_as_the_rest(drawing: Browser) -> None:
    for corner in ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.2)):
        click(drawing, *corner)
    look(drawing)
