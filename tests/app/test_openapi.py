"""The service does what its OpenAPI document says: Schemathesis, every phase and check, over a real process."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.middleware.keys import new_key
from tests.app.conftest import publish_with_reports
from tests.support.exploration import RECORDS, explore
from tests.support.process import PATIENCE, Server, served


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[Server, str]]:
    """A process with keys, an administrator's, and a store of its own: what is PUT there stays.

    Without keys there is no answer but a refusal under /v1/admin.
    """
    publish_with_reports(tmp_path / "store", "capsule")
    secret, key = new_key("admin", "schemathesis")
    (tmp_path / "keys").write_text(key.line)
    arguments = ["--deadline-ms", "60000", "--keys-file", str(tmp_path / "keys"), *RECORDS, str(tmp_path / "records")]
    with served(tmp_path / "store", *arguments) as server:
        server.wait_until_ready()
        server.wait_until_loaded("capsule", 1, **{"X-API-Key": secret})
        yield server, secret


def test_schemathesis_finds_nothing(guarded: tuple[Server, str], tmp_path: Path) -> None:
    server, key = guarded
    run = explore(server.url, key, 8, 1, tmp_path)
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr
    assert "No issues found" in run.stdout
    generated = re.search(r"(\d+) generated, \1 passed", run.stdout)
    assert generated
    assert int(generated[1]) > 500
    # Images were inspected by every route that inspects; else nothing would be found.
    metrics = httpx.get(f"{server.url}/metrics", timeout=PATIENCE).text
    inspected = re.findall(r'camspector_http_requests_total\{method="POST",route="(\S+)",status="200"\}', metrics)
    assert {route.rpartition("/")[2] for route in inspected} == {"predict", "infer", "reload", "acknowledge"}
    assert len(inspected) == 7
