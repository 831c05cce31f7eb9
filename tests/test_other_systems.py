"""macOS and Windows, as far as they can be played here: what they lack is taken away, in processes that are started."""

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from model import store as stores
from model.locks import lock_alone, lock_shared
from model.store import Store
from tests.support.artifacts import publish
from tests.support.images import encoded
from tests.support.process import PATIENCE, ROOT, started

MISSING = """
import os, signal, socket, sys, sysconfig

sysconfig.get_config_vars()  # of this very system
sys.platform = "another"
sys.modules.update(dict.fromkeys(["fcntl", "resource"]))
for module, names in {
    os: ["fork", "setpriority", "fchmod", "sched_getaffinity", "posix_fallocate"],
    signal: ["SIGHUP"],
    socket: ["SOCK_SEQPACKET", "TCP_INFO", "send_fds", "recv_fds"],
}.items():
    for name in names:
        delattr(module, name)
"""
"""sitecustomize.py: imported at the start of every Python that finds it."""
MODULES = [
    module.name
    for package in ("model", "training", "app")
    for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}.")
    if not module.name.endswith("__main__")
]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(MISSING)
    return os.environ | {"PYTHONPATH": str(tmp_path / "site")}


def test_every_module_can_be_imported(environment: dict[str, str]) -> None:
    assert len(MODULES) > 100
    code = f"import importlib\nfor name in {MODULES}: importlib.import_module(name)\nimport sys; print(sys.platform)"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (run.stdout, run.returncode) == ("another\n", 0), run.stderr


def test_the_service_inspects(environment: dict[str, str], tmp_path: Path) -> None:
    """Codec processes that nothing confines answer the same, and the log says what they are."""
    publish(tmp_path / "store", onnx=True)
    command = [
        sys.executable,
        "-m",
        "app",
        "serve",
        "--store",
        str(tmp_path / "store"),
        "--port",
        "0",
        "--device",
        "cpu",
    ]
    with started(command, environment, may_write=False) as server, httpx.Client(timeout=PATIENCE) as client:
        server.wait_until_ready()
        reply = client.post(f"{server.url}/predict", content=encoded())
        assert reply.status_code == 200
        overlay = client.post(f"{server.url}/predict", content=encoded(), headers={"Accept": "image/png"})
        assert overlay.content.startswith(b"\x89PNG")
        assert client.post(f"{server.url}/predict", content=encoded()[:-20]).status_code == 422
        assert client.get(f"{server.url}/metrics").status_code == 200
        assert server.stop() == 0
    assert "nothing confines" in server.log()
    with started(command, None, may_write=False) as server:
        server.wait_until_ready()
        here = httpx.post(f"{server.url}/predict", content=encoded(), timeout=PATIENCE).json()
    for of_one_request in ("inference_id", "timing_ms"):
        del here[of_one_request]
    assert here.items() <= reply.json().items()


def test_without_locks_no_draft_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could be another writer's."""
    monkeypatch.setattr("model.locks.fcntl", None)
    with (tmp_path / "file").open("w") as file:
        for lock in (lock_alone, lock_shared):
            with pytest.raises(OSError, match="no flock"):
                lock(file.fileno())
    (tmp_path / "widget" / ".draft-of-another").mkdir(parents=True)
    assert publish(tmp_path).name == "1"
    assert (tmp_path / "widget" / ".draft-of-another").is_dir()
    assert Store(tmp_path).versions("widget") == [1]


def test_folders_are_not_synced_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which can't open them."""

    def refuse(path: object, flags: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError):
        stores._sync(tmp_path)
    monkeypatch.setattr(os, "name", "nt")
    stores._sync(tmp_path)
    monkeypatch.undo()
