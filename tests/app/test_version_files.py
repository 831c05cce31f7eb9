"""The files that versions bring along."""

import io
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from app.application import create_app
from app.models import version_files
from app.service import Service
from app.settings import Settings
from model.artifact import ROI
from tests.app.conftest import running, until
from tests.support.artifacts import INPUT_SIZE, publish
from tests.support.images import encoded

pytestmark = pytest.mark.anyio
REPORT = "/v1/models/widget/versions/1/report"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A report's, in a version that can't be loaded: people may want to know of it all the same."""
    folder = tmp_path / "widget" / "1" / "report"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
async def asking(folder: Path, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with running(create_app(Settings(store=tmp_path, device="cpu"))) as client:
        yield client


async def test_both_files_are_given_out(asking: httpx.AsyncClient, folder: Path) -> None:
    (folder / "report.html").write_text("<p>good")
    (folder / "report.json").write_text('{"good": 1}')
    page, data = await asking.get(REPORT), await asking.get(f"{REPORT}.json")
    assert (page.text, page.headers["content-type"]) == ("<p>good", "text/html; charset=utf-8")
    assert (data.json(), data.headers["content-type"]) == ({"good": 1}, "application/json")
    policy = page.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "sandbox", "frame-ancestors 'none'"} <= set(policy)
    assert page.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (REPORT, "no-report"),
        (f"{REPORT}.json", "no-report"),
        ("/v1/models/widget/versions/2/report", "unknown-version"),
        ("/v1/models/gadget/versions/1/report", "unknown-model"),
        ("/v1/models/..%2fwidget/versions/1/report", "not-found"),
        (f"{REPORT}/report.html", "not-found"),
    ],
)
async def test_what_isnt_there_is_404(asking: httpx.AsyncClient, path: str, error: str) -> None:
    reply = await asking.get(httpx.URL("http://camspector", raw_path=path.encode()))
    assert (reply.status_code, reply.json()["error"]) == (404, error)


async def test_a_link_out_of_the_version_is_no_report(asking: httpx.AsyncClient, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a key")
    (folder / "report.html").symlink_to(tmp_path / "secret")
    reply = await asking.get(REPORT)
    assert (reply.status_code, reply.json()["error"]) == (404, "no-report")


async def test_a_file_too_large_is_no_report(
    asking: httpx.AsyncClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version_files, "MAX_BYTES", 3)
    (folder / "report.html").write_text("four")
    reply = await asking.get(REPORT)
    assert (reply.status_code, reply.json()["detail"]) == (
        404,
        "version 1 of model 'widget' has no report.html of 3 bytes at most",
    )


async def test_a_version_that_left_the_memory_is_shown_as_before(tmp_path: Path) -> None:
    inside = np.zeros((INPUT_SIZE, INPUT_SIZE), np.bool_)
    inside[8:, :-8] = True
    versions = {name: publish(tmp_path, name, roi=inside if name == "bolt" else None) for name in ("bolt", "nut")}
    for version in versions.values():
        (version / "report").mkdir()
        (version / "report" / "report.html").write_text("<p>good")
    app = create_app(Settings(store=tmp_path, device="cpu", models_max_bytes=1, deadline_ms=60_000))
    async with running(app) as client:
        service: Service = app.state.service
        await until(lambda: service.model_manager.snapshot.models)
        for name, other in (("bolt", "nut"), ("nut", "bolt")):
            for model in (name, other):  # which leaves no room for the first
                reply = await client.post(f"/v1/models/{model}/predict", content=encoded())
                assert reply.status_code == 200, reply.text
            assert not service.model_manager.snapshot.models[name].loaded
            shown, page = [await client.get(f"/v1/models/{name}/versions/1/{file}") for file in ("roi.png", "report")]
            assert (shown.status_code, page.status_code) == (200, 200)
            white = np.array(Image.open(io.BytesIO(shown.content)).convert("L")) > 127
            assert (white == (inside if name == "bolt" else True)).all()
            assert white.shape == inside.shape
            assert not service.model_manager.snapshot.models[name].loaded
        assert shown.headers["content-type"] == "image/png"
        bolt = await client.get("/v1/models/bolt/versions/1/roi.png")
        assert bolt.content == (versions["bolt"] / ROI).read_bytes()
        unknown = await client.get("/v1/models/bolt/versions/2/roi.png")
        assert (unknown.status_code, unknown.json()["error"]) == (404, "unknown-version")
