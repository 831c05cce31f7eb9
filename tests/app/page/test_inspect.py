"""Inspect, used as a person would, in a real browser."""

import csv
import json
import re
from pathlib import Path

from tests.app.page.conftest import DARK, get, post
from tests.support.browser import SHIFT, Browser
from tests.support.process import Server

COLOURS = (
    "((shown) => { const pixel = new OffscreenCanvas(1, 1).getContext('2d'); "
    "pixel.drawImage(shown, -shown.width / 2, -shown.height / 2); "
    "return pixel.getImageData(0, 0, 1, 1).data.join() })(document.querySelector('.viewer canvas'))"
)
"""Of the image's middle."""


def inspected(page: Browser, number: int) -> None:
    page.until(f"document.querySelector('.row p').innerText.startsWith('{number} of {number} image')")


def colours(page: Browser, name: str) -> str:
    """COLOURS, once the image of that name is shown."""
    page.until(f"document.querySelector('.viewer canvas').ariaLabel.includes({json.dumps(name)})")
    page.painted()
    found = page.value(COLOURS)
    assert found != "0,0,0,0"
    return str(found)


def test_images_are_chosen_inspected_and_stepped_through(page: Browser, line: Server, images: list[Path]) -> None:
    page.click("Choose images")
    page.choose_files(images)
    inspected(page, 3)
    verdicts = {path.name: post(line, path.read_bytes()) for path in images}
    shown = page.value("[...document.querySelectorAll('.items .name')].map((each) => each.innerText)")
    chips = page.value("[...document.querySelectorAll('.items .chip')].map((each) => each.className.split(' ')[1])")
    assert dict(zip(shown, chips, strict=True)) == {name: each["decision"] for name, each in verdicts.items()}
    assert set(chips) == {"accept", "review", "reject"}
    page.press("ArrowLeft")  # whichever was inspected first is shown
    page.press("ArrowLeft")
    for name in shown:
        page.until(f"document.querySelector('.decision .name').innerText === {json.dumps(name)}")
        assert page.text(".banner strong") == verdicts[name]["decision"].capitalize()
        assert name.removesuffix(".png") in page.text(".facts")
        assert "capsule, version 1" in page.text(".facts")
        page.press("ArrowRight")
    page.press("ArrowLeft")
    page.until(f"document.querySelector('.decision .name').innerText === {json.dumps(shown[1])}")


def test_a_dropped_image_shows_its_heatmap(page: Browser, images: list[Path]) -> None:
    page.drop_files(images[:1], ".drop")
    page.until("document.querySelector('.banner')")
    before = colours(page, images[0].name)
    page.value("document.activeElement.blur()")
    page.press(" ")
    page.until(f"{COLOURS} !== '{before}'")
    page.press(" ")
    page.until(f"{COLOURS} === '{before}'")
    x, y = page.middle("document.querySelector('.viewer canvas')")
    page.mouse("mouseMoved", x, y)
    under = page.until("document.querySelector('.under').innerText.trim()")
    assert re.fullmatch(r"\d+, \d+: heatmap [01]\.\d\d, evidence .+ log-odds \(a region from \+2.00\)", under)


def test_an_image_that_is_shown_twice_has_its_history_once(page: Browser, images: list[Path]) -> None:
    """Though both times it is still being fetched."""
    page.drop_files(images[:1], ".drop")
    page.until("document.querySelector('.history')")
    page.value("[1, 2, 3].forEach(() => document.querySelector('.items button').click())")
    page.until("document.querySelector('.history')")
    page.value("new Promise((resolve) => setTimeout(resolve, 500))")
    assert page.value("document.querySelectorAll('.history').length") == 1


def test_what_is_no_image_says_so(page: Browser, tmp_path: Path, images: list[Path]) -> None:
    (tmp_path / "broken.png").write_bytes(images[0].read_bytes()[:60])
    page.click("Choose images")
    page.choose_files([tmp_path / "broken.png"])
    page.until("document.querySelector('.decision .problem')")
    assert "1 of 1 image inspected: 1 error" in page.text(".row")
    (problem,) = page.problems  # the browser's own line on status 422
    assert "422" in problem
    page.problems.clear()


def test_an_image_is_pasted(page: Browser, images: list[Path]) -> None:
    page.paste(images[0])
    inspected(page, 1)
    assert page.text(".banner strong") == "Reject"


def test_a_folder_is_dropped(page: Browser, tmp_path: Path, images: list[Path]) -> None:
    """With what is in its folders, in order; what is no image is left out."""
    for number, path in enumerate(images):
        (folder := tmp_path / "lot 7" / f"tray {number}").mkdir(parents=True)
        path.rename(folder / path.name)
    (tmp_path / "lot 7" / "notes.txt").write_text("no image")
    page.drop_files([tmp_path / "lot 7"], ".drop")
    inspected(page, 3)
    names = page.value("[...document.querySelectorAll('.items .name')].map((each) => each.innerText)")
    assert sorted(names) == sorted(path.name for path in images)


def test_the_camera_s_image_is_inspected(page: Browser) -> None:
    """Chromium's own, which nobody has to allow."""
    page.click("Use the camera")
    page.until("document.querySelector('.camera video').videoWidth > 0")
    page.click("Inspect this image")
    page.until("document.querySelector('.items .chip')")
    page.click("Close")
    page.until("!document.querySelector('.camera')")
    inspected(page, 1)
    assert page.text(".decision .name") == "camera-1.png"


def test_an_image_that_is_not_inspectable_says_why(page: Browser, tmp_path: Path) -> None:
    (tmp_path / "dark.png").write_bytes(DARK)
    page.drop_files([tmp_path / "dark.png"], ".drop")
    page.until("document.querySelector('.banner')")
    assert page.text(".banner strong") == "Not inspectable"
    assert "brightness 0 is below 20" in page.text(".banner")


def test_the_csv_says_what_the_records_say(page: Browser, line: Server, tmp_path: Path, images: list[Path]) -> None:
    for number, path in enumerate(images):
        path.rename(tmp_path / f"=SUM({number}).png")
    (tmp_path / "saved").mkdir()
    page.drop_files(sorted(tmp_path.glob("*.png")), ".drop")
    inspected(page, 3)
    with page.downloaded(tmp_path / "saved", "Save as CSV").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [f"'=SUM({number}).png" for number in range(3)]
    for row in rows:
        record = get(line, f"/v1/inspections/{row['inference_id']}")
        assert row["error"] == ""
        assert row["part_id"] == f"'{record['part_id']}"
        for name in ("decision", "label", "model"):
            assert row[name] == record[name]
        for name in ("probability", "log_odds", "model_version"):
            assert float(row[name]) == record[name]
        assert row["inspectable"] == str(record["inspectable"]).lower()
        assert int(row["regions"]) == len(record["regions"])


def test_everything_is_done_by_the_keyboard(page: Browser, images: list[Path]) -> None:
    """Tab, enter, arrows."""
    for _ in range(30):
        page.press("Tab")
        if page.value("document.activeElement.innerText") == "Choose images":
            break
    page.press("Enter")
    page.choose_files(images)
    inspected(page, 3)
    shown = "document.querySelector('.decision .name').innerText"
    first = page.value(shown)
    page.press("ArrowRight")
    second = page.until(f"{shown} !== {json.dumps(first)} && {shown}")
    for _ in range(30):
        page.press("Tab")
        if page.value("document.activeElement.matches('.viewer canvas')"):
            break
    before = colours(page, second)
    for key in ("+", "+"):
        page.press(key)
    page.press("ArrowLeft", SHIFT)
    page.until(f"{COLOURS} !== '{before}'")
    page.press("0")
    page.until(f"{COLOURS} === '{before}'")
    for _ in range(30):
        page.press("Tab", SHIFT)
        if page.value("document.activeElement.innerText") == "Live":
            break
    page.press("Enter")
    page.until("document.querySelector('.live')")
    assert (
        page.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    )  # where the focus is can be seen


def test_what_is_loaded_at_first_is_small(page: Browser) -> None:
    """Other views are loaded when they are opened."""
    sizes = page.value(
        "performance.getEntriesByType('resource').filter(({ name }) => name.includes('/page/'))"
        ".map((each) => [each.name.split('/').at(-1), each.decodedBodySize])"
    )
    assert {"main.js", "inspect.js", "page.css"} <= {name for name, _ in sizes}
    assert "models.js" not in dict(sizes)
    assert sum(size for _, size in sizes) < 80_000
