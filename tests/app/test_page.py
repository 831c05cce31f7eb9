"""The inspection page at /, as it is served: its files, headers and addresses."""

import re
from urllib.parse import urljoin

import httpx
import pytest

from app.addresses import PAGE, PAGE_FILES
from tests.support.process import ROOT

FOLDER = ROOT / "app" / "page"
BROWSERS = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"


def addresses(text: str) -> list[str]:
    return re.findall(r"""(?:src|href)="([^"#]+)\"""", text)


def test_every_file_is_served_and_none_is_missing() -> None:
    assert {path.name for path in FOLDER.iterdir()} == PAGE_FILES | {"index.html"}
    modules = {name for name in PAGE_FILES if name.endswith(".js")}
    code = "".join((FOLDER / name).read_text() for name in modules)
    imports = set(re.findall(r'(?:from |import\()"\./([^"]+)"', code))
    assert imports == modules - {"main.js"}


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 150_000


PAIRS = [
    *[(ink, ground) for ink in ("ink", "muted", "accent", "reject") for ground in ("ground", "card")],
    *[(name, f"{name}-tint") for name in ("accept", "review", "reject", "odd")],
    *[("ink", f"{name}-tint") for name in ("accept", "review", "reject", "odd")],
    ("on-accent", "accent"),
]


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_has_contrast(theme: int) -> None:
    roots = re.findall(r":root \{(.+?)\}", (FOLDER / "page.css").read_text(), re.DOTALL)
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", roots[theme]))
    for ink, ground in PAIRS:
        dark, light = sorted(luminance(colours[name]) for name in (ink, ground))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)


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
