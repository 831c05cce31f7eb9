"""The inspection page at /, used as a person would, in a real browser."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from app.addresses import PAGE, PAGE_FILES
from tests.support.browser import CHROMIUM, NO_CHROMIUM, PHONE, WIDE, Browser, browser
from tests.support.images import encoded
from tests.support.process import PATIENCE, ROOT, Server

FOLDER = ROOT / "app" / "page"
BROWSERS = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)


def addresses(text: str) -> list[str]:
    return re.findall(r"""(?:src|href)="([^"#]+)\"""", text)


def test_every_file_is_served_and_none_is_missing() -> None:
    assert {path.name for path in FOLDER.iterdir()} == PAGE_FILES | {"index.html"}
    modules = {name for name in PAGE_FILES if name.endswith(".js")}
    imports = {each for name in modules for each in re.findall(r'from "\./([^"]+)"', (FOLDER / name).read_text())}
    assert imports == modules - {"main.js"}


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 150_000


@pytest.mark.anyio
async def test_browsers_get_the_page_and_programs_addresses(client: httpx.AsyncClient) -> None:
    for accept in ("*/*", "application/json", "application/json, text/html;q=0.5", "text/html;q=0"):
        reply = await client.get("/", headers={"Accept": accept})
        assert reply.json()["service"] == "Camspector", accept
    page = await client.get("/", headers={"Accept": BROWSERS})
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["vary"] == "Accept"


@pytest.mark.anyio
@pytest.mark.parametrize("page", ["http://camspector/", "http://camspector/line/3/"])
async def test_addresses_hold_under_every_root_path(client: httpx.AsyncClient, page: str) -> None:
    """The second's prefix is what a gateway strips."""
    text = (await client.get("/", headers={"Accept": BROWSERS})).text
    assert len(addresses(text)) >= 4
    for address in addresses(text):
        path = "/" + urljoin(page, address).removeprefix(page)
        assert (await client.get(path)).status_code == 200, address


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/", *sorted(PAGE)])
async def test_headers(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(path, headers={"Accept": BROWSERS})
    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "no-cache"
    assert reply.headers["x-content-type-options"] == "nosniff"
    policy = dict(rule.split(" ", 1) for rule in reply.headers["content-security-policy"].split("; "))
    assert policy.pop("img-src") == "'self' blob:"
    assert policy["default-src"] == "'none'"
    assert set(policy.values()) == {"'self'", "'none'"}
    again = await client.get(path, headers={"Accept": BROWSERS, "If-None-Match": reply.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/page", "/page/", "/page/index.html", "/page/..%2fschemas.py", "/page/%00"])
async def test_nothing_else_is_there(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(httpx.URL("http://camspector", raw_path=path.encode()))
    assert (reply.status_code, reply.json()["error"]) == (404, "not-found")


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
    page.until("document.querySelectorAll('.items .chip').length === 3")
    assert "3 of 3 images inspected" in page.text(".row")
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
        "((canvas) => canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data.join())"
        "(document.querySelector('.viewer canvas'))"
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
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_nothing_is_cut_off(page: Browser, images: list[Path], size: tuple[int, int]) -> None:
    page.resize(*size)
    page.click("Choose images")
    page.choose_files(images)
    page.until("document.querySelectorAll('.items .chip').length === 3")
    assert page.value("document.documentElement.scrollWidth") <= size[0]
