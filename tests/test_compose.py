"""The service as docker-compose.yml starts it, without Docker: the image's command in the declared environment."""

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from tests.support.artifacts import publish
from tests.support.images import encoded
from tests.support.process import PATIENCE, ROOT, Server, started

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["camspector"]
VOLUMES = {"/models": "store", "/records": "records"}
"""Where the compose file mounts what, and which folder stands for it here."""


def environment(folder: Path, **shell: str) -> dict[str, str]:
    """What the container has, where the shell has these variables."""
    (lines,) = re.findall(r"^ENV PATH=\S+ \\\n((?:.+\\\n)*.+\n)", DOCKERFILE, re.M)
    declared: dict[str, str] = dict(re.findall(r"(\w+)=(\S+)", lines))
    for name, _, value in (line.partition("=") for line in COMPOSE["environment"]):
        default = re.fullmatch(r"\$\{\w+-(.*)\}", value)
        if default or name in shell:
            declared[name] = shell.get(name, str(default[1]) if default else "")
        elif value:
            declared[name] = value
    mounted_at = {path: str(folder / name) for path, name in VOLUMES.items()}
    mounted = {name: mounted_at.get(value, value) for name, value in declared.items()}
    return mounted | {"CAMSPECTOR_HOST": "127.0.0.1", "CAMSPECTOR_PORT": "0", "PATH": os.defpath}


@contextmanager
def composed(folder: Path, **shell: str) -> Iterator[tuple[httpx.Client, Server]]:
    (command,) = re.findall(r"^ENTRYPOINT (.+)$", DOCKERFILE, re.M)
    _, *arguments = json.loads(command)
    with started([sys.executable, *arguments], environment(folder, **shell), may_write=True) as server:
        server.wait_until_ready()
        with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
            yield client, server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    publish(tmp_path / "store", "widget", onnx=True)
    (tmp_path / "records").mkdir()
    return tmp_path


def inspect(client: httpx.Client) -> httpx.Response:
    reply = client.post("/predict", content=encoded(), headers={"X-Part-ID": "4711"})
    assert reply.status_code == 200, reply.text
    return reply


def test_mounts_are_where_the_environment_looks() -> None:
    store, records = COMPOSE["volumes"]
    assert {store["target"], records.partition(":")[2]} == set(VOLUMES)
    assert "--owner=10001 --group=10001 /records" in DOCKERFILE


def test_records_survive_the_container(folder: Path) -> None:
    with composed(folder) as (client, server):
        reply = inspect(client)
        assert reply.headers["x-camspector-recorded"] == "true"
        assert server.stop(signal.SIGTERM) == 0
    assert (folder / "records" / "records.sqlite").is_file()
    with composed(folder) as (client, _):
        inspection = client.get(f"/v1/inspections/{reply.json()['inference_id']}").json()
        assert (inspection["part_id"], inspection["probability"]) == ("4711", reply.json()["probability"])
        assert inspect(client).headers["idempotent-replayed"] == "true"


def test_an_empty_variable_switches_records_off(folder: Path) -> None:
    with composed(folder, CAMSPECTOR_RECORDS="") as (client, _):
        assert "x-camspector-recorded" not in inspect(client).headers
    assert list((folder / "records").iterdir()) == []
