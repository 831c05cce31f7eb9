"""Dockerfile, docker-compose.yml and what is written for operators agree with the tree and with the settings."""

import re
import subprocess
import sys
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from app.connection.server import END_SECONDS
from app.settings import Settings

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = (ROOT / "docker-compose.yml").read_text()
FILES = ["Dockerfile", ".dockerignore", "docker-compose.yml", "docs/operations.md"]
_FIELDS = Settings.model_fields
STOP_SECONDS = _FIELDS["drain_seconds"].default + _FIELDS["shutdown_seconds"].default + END_SECONDS
"""Of the slowest stop: drain, requests in flight, then all else."""
VARIABLES = {f"CAMSPECTOR_{name.upper()}" for name in _FIELDS}
HOST = r"[\w-]+(\.[\w-]+)*\.(io|org|com|dev|net)\b"


@pytest.mark.parametrize("name", FILES)
def test_no_registry_is_named(name: str) -> None:
    """Where images and packages come from is the builder's own setting. Only the service itself has addresses."""
    text = re.sub(r"org\.opencontainers\.\w+|https?://(localhost|127\.0\.0\.1)\b", "", (ROOT / name).read_text())
    assert re.findall(rf"\w+://\S+|{HOST}", text) == []


def test_base_image_is_an_argument_without_a_host() -> None:
    assert re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", DOCKERFILE, re.M) == ["python:3.12-slim"]
    stages = {"build", "service"}
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)) == {"${PYTHON_IMAGE}"} | stages
    assert stages <= set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.M))


def test_threads_share_pools_of_memory_as_in_make_run() -> None:
    """docs/operations.md: glibc's default keeps what images leave."""
    assert "MALLOC_ARENA_MAX=2 " in DOCKERFILE
    assert "export MALLOC_ARENA_MAX := 2\n" in (ROOT / "Makefile").read_text()


def test_targets() -> None:
    """What docs/operations.md and the compose file name, and the default."""
    targets = re.findall(r"^FROM service AS (\S+)$", DOCKERFILE, re.M)
    assert targets == ["cuda", "cpu"]
    assert "      target: ${TARGET:-cpu}" in COMPOSE.splitlines()
    assert "torch" not in DOCKERFILE.partition(" AS build-cpu")[2].partition("\nFROM ")[0]


def copied() -> list[str]:
    """What the Dockerfile takes from the tree."""
    sources = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if line.startswith("COPY ")]
    return [source for line in sources if not line[0].startswith("--from=") for source in line]


def test_copied_files_exist_and_are_all_that_is_sent() -> None:
    assert set(copied()) == {"app", "model"} | {f"requirements/{name}.txt" for name in ("serve", "serve-cpu", "torch")}
    assert all((ROOT / source).exists() for source in copied())
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    assert {rule for rule in rules if rule.startswith("!")} == {f"!{source}" for source in copied()}
    assert "*" in rules


def test_torch_can_be_taken_from_its_requirements() -> None:
    """By the Dockerfile's grep."""
    lines = (ROOT / "requirements" / "torch.txt").read_text().splitlines()
    assert len([line for line in lines if re.match("^torch==", line)]) == 1
    assert "grep '^torch==' /build/torch.txt" in DOCKERFILE


def test_version_is_the_package_s() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f'org.opencontainers.image.version="{version}"' in DOCKERFILE


def test_image_runs_the_service_as_nobody_special() -> None:
    final = DOCKERFILE.partition("\nFROM ${PYTHON_IMAGE} AS service\n")[2].partition("\nFROM ")[0].splitlines()
    assert 'ENTRYPOINT ["python", "-m", "app", "serve"]' in final
    assert "USER 10001:10001" in final
    assert "STOPSIGNAL SIGTERM" in final
    assert f"EXPOSE {_FIELDS['port'].default}" in final


def health_check() -> str:
    """The Dockerfile's own program."""
    found = re.search(r'^HEALTHCHECK .* CMD \["python", "-c", "(.*)"\]$', DOCKERFILE.replace("\\\n", ""), re.M)
    assert found
    return found[1]


@pytest.mark.parametrize(("status", "exit_status"), [(200, 0), (503, 1), (None, 1)])
def test_health_check(status: int | None, exit_status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a service that answers so; None: nothing listens."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status or 500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        monkeypatch.setenv("CAMSPECTOR_PORT", str(server.server_port))
        if status is None:
            server.server_close()
        else:
            Thread(target=server.handle_request, daemon=True).start()
        run = subprocess.run([sys.executable, "-c", health_check()], capture_output=True, timeout=60, check=False)
    assert run.returncode == exit_status
    assert asked == ["/livez"] * (status is not None)


@pytest.mark.parametrize("name", [*FILES, "docs/deployment.md"])
def test_variables_are_settings(name: str) -> None:
    assert set(re.findall(r"CAMSPECTOR_[A-Z_]+", (ROOT / name).read_text())) <= VARIABLES


def test_compose_hands_on_every_setting() -> None:
    """Except what the image and the ports decide."""
    handed_on = re.findall(r"^      - (CAMSPECTOR_\w+)(?:=\S+)?(?: #.*)?$", COMPOSE, re.M)
    assert set(handed_on) == VARIABLES - {"CAMSPECTOR_STORE", "CAMSPECTOR_HOST", "CAMSPECTOR_PORT"}
    assert len(handed_on) == len(set(handed_on))


@pytest.mark.parametrize(
    "line",
    [
        "    read_only: true",
        "        read_only: true",  # the store's
        "    cap_drop: [ALL]",
        "      - no-new-privileges:true",
        "    restart: unless-stopped",
        "        target: /models",
        "      - records:/records # docs/records.md",
        "      - ${ADDRESS:-127.0.0.1}:${PORT:-8000}:8000",
    ],
)
def test_compose_says(line: str) -> None:
    assert line in COMPOSE.splitlines()


def test_compose_waits_for_the_slowest_stop() -> None:
    grace = re.search(r"^    stop_grace_period: \$\{STOP_GRACE:-(\d+)s\}$", COMPOSE, re.M)
    assert grace
    assert int(grace[1]) > STOP_SECONDS


def test_compose_is_indented_as_yaml_is() -> None:
    """The project has no YAML parser: no tabs, steps of two."""
    for line in COMPOSE.splitlines():
        assert "\t" not in line
        assert (len(line) - len(line.lstrip(" "))) % 2 == 0, line
