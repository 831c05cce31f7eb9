"""Who may import whom (DESIGN section 1)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "app": {"training", "tests", "torch", "torchvision"},
    "training": {"app", "tests", "fastapi", "starlette", "pydantic_settings"},
    "model": {"app", "training", "tests", "fastapi", "starlette", "pydantic", "pydantic_settings"},
}


@pytest.mark.parametrize("package", FORBIDDEN)
def test_import_rule(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for file in files:
        assert not imported(file) & FORBIDDEN[package], file


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


def test_service_starts_without_torch() -> None:
    """torch is imported where an engine is opened, and nowhere else."""
    code = "import sys, app.__main__, model.detector; print(*{'torch', 'torchvision', 'training'} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
