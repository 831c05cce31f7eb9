"""Who may import whom (CONTRIBUTING.md)."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.artifacts import publish
from tests.support.images import encoded

ROOT = Path(__file__).parent.parent
REST = {"tests", "benchmarks", "examples"}
FORBIDDEN = {
    "app": {"camspector", *REST, "training", "torch", "torchvision"},
    "training": {"camspector", *REST, "app", "fastapi", "starlette", "pydantic_settings"},
    "model": {"camspector", *REST, "app", "training", "fastapi", "starlette", "pydantic", "pydantic_settings"},
    "examples": {"camspector", "app", "tests", "benchmarks"},
    "tests": {"benchmarks"},
}


@pytest.mark.parametrize("package", FORBIDDEN)
def test_import_rule(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for file in files:
        assert not imported(file) & FORBIDDEN[package], file


def test_benchmarks_take_of_the_tests_what_is_theirs_to_take() -> None:
    """What both need is in tests/support."""
    for file in (ROOT / "benchmarks").glob("*.py"):
        modules = {
            node.module or "" for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)
        }
        assert all(name.startswith("tests.support") for name in modules if name.split(".")[0] == "tests"), file


def test_one_module_imports_onnx_runtime() -> None:
    """The one that turns its telemetry off first."""
    files = [
        file
        for folder in ("app", "model", "training", "tests", "benchmarks", "examples")
        for file in (ROOT / folder).rglob("*.py")
    ]
    assert [file.name for file in files if "onnxruntime" in imported(file)] == ["ort.py"]
    code = "import os, model.engines.onnx_runtime; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = os.environ | {"ORT_DISABLE_TELEMETRY": "0"}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "1"


def imported(file: Path) -> set[str]:
    """The top-level names of every import in a file, wherever it stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names.add((node.module or "").split(".")[0])
    return names


def test_service_inspects_without_torch(tmp_path: Path) -> None:
    """From start to reply, ONNX Runtime needs neither torch nor torchvision."""
    publish(tmp_path, onnx=True)
    (tmp_path / "part.png").write_bytes(encoded())
    command = [sys.executable, "-c", INSPECT, str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["200", "onnxruntime"]


INSPECT = """
import asyncio, pathlib, sys
import httpx
from app.application import create_app
from app.settings import Settings

async def main(store):
    app = create_app(Settings(store=store, _cli_parse_args=[]))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://camspector")
    async with app.router.lifespan_context(app), client:
        while app.state.service.unready():
            await asyncio.sleep(0.01)
        reply = await client.post("/predict", content=(store / "part.png").read_bytes())
        (version,) = (await client.get("/v1/models/widget")).json()["versions"]
        print(reply.status_code, version["engine"], *{"torch", "torchvision", "training"} & sys.modules.keys())

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


def test_service_without_records_imports_no_database(tmp_path: Path) -> None:
    code = (
        "import sys; from app.application import create_app; from app.settings import Settings; import app.__main__\n"
        "create_app(Settings(store=sys.argv[1], _cli_parse_args=[])).openapi()\n"
        "print(*{'sqlalchemy', 'alembic', 'psycopg'} & sys.modules.keys())"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_service_starts_without_torch() -> None:
    """torch is imported where an engine is opened, and nowhere else."""
    code = "import sys, app.__main__, model.detector; print(*{'torch', 'torchvision', 'training'} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
