"""The page at /docs: whole without the internet, under every root path, in a real browser."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from app.addresses import DOCS_FILES as FILES
from tests.support.process import PATIENCE, ROOT, Server

FOLDER = ROOT / "app" / "docs"
CHROMIUM = shutil.which("chromium")
OFFLINE = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
"""chromium's --host-resolver-rules."""


def linked(page: str) -> list[str]:
    return re.findall(r"""(?:src|href|url)=["']([^"']*)""", page)


def test_others_files_are_as_their_maker_released_them() -> None:
    digests = re.findall(r"^\| `(\S+)` \| `(\w{64})` \|$", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert {name for name, _ in digests} == FILES - {"start.js"}
    for name, digest in digests:
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest, name
    assert "Apache License" in (FOLDER / "LICENSE").read_text()
    assert "SmartBear" in (FOLDER / "NOTICE").read_text()


@pytest.mark.anyio
@pytest.mark.parametrize("page", ["http://camspector/docs", "http://camspector/line/3/docs"])
async def test_addresses_hold_under_every_root_path(client: httpx.AsyncClient, page: str) -> None:
    """The second's prefix is what a gateway strips."""
    text = (await client.get("/docs")).text
    addresses = [urljoin(page, link) for link in linked(text)]
    assert {address.rpartition("/docs/")[2] for address in addresses if "/docs/" in address} == FILES
    for address in addresses:
        path = "/" + address.removeprefix(page.removesuffix("docs"))
        assert (await client.get(path)).status_code == 200, address


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/docs", *(f"/docs/{name}" for name in sorted(FILES))])
async def test_headers(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(path)
    assert reply.headers["cache-control"] == "no-cache"
    assert reply.headers["x-content-type-options"] == "nosniff"
    policy = dict(rule.split(" ", 1) for rule in reply.headers["content-security-policy"].split("; "))
    assert policy.pop("img-src") == "'self' data:"
    assert policy["default-src"] == "'none'"
    assert set(policy.values()) == {"'self'", "'none'"}
    again = await client.get(path, headers={"If-None-Match": reply.headers["etag"]})
    assert (again.status_code, again.content, again.headers["cache-control"]) == (304, b"", "no-cache")
    head = await client.head(path)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(reply.content)))


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/docs/", "/docs/README.md", "/docs/index.html", "/docs/..%2fgate.py", "/docs/%00"])
async def test_nothing_else_is_there(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(httpx.URL("http://camspector", raw_path=path.encode()))
    assert (reply.status_code, reply.json()["error"]) == (404, "not-found")


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (Debian package chromium)")
def test_a_browser_shows_every_operation(server: Server, tmp_path: Path) -> None:
    assert CHROMIUM
    run = subprocess.run(
        [
            *[CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"],
            *[f"--host-resolver-rules={OFFLINE}", "--enable-logging=stderr", "--virtual-time-budget=20000"],
            *["--dump-dom", f"{server.url}/docs"],
        ],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=True,
    )
    operations = [
        (method, path)
        for path, methods in httpx.get(f"{server.url}/openapi.json", timeout=PATIENCE).json()["paths"].items()
        for method in methods
    ]
    shown = re.findall(r'class="opblock opblock-(\w+)".*?data-path="([^"]+)"', run.stdout)
    assert sorted(shown) == sorted(operations)
    assert 'class="btn authorize unlocked"' in run.stdout
    assert [link for link in linked(run.stdout) if "//" in link] == [f"{server.url}/openapi.json"]
    assert re.findall("CONSOLE.*(?:Content Security Policy|ERR_|Uncaught).*", run.stderr) == []
