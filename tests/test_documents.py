"""Commands and replies in README and docs/ are what the programs take and give (docs/api.md is run in tests/app)."""

import json
import re
import shlex
from pathlib import Path

import pytest

from app.__main__ import PARSERS
from app.schemas import Prediction
from app.settings import read_settings
from training.cli import parse

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = [
    (path.name, " ".join(match.split("#")[0].split()))
    for path in DOCUMENTS
    for match in re.findall(r"^    .*?python -m (?:training|app) (.+)$", path.read_text(), re.MULTILINE)
]


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize(("document", "command"), COMMANDS)
def test_a_documented_command_is_understood(document: str, command: str) -> None:
    name, *arguments = shlex.split(command)
    if name == "serve":
        assert read_settings(arguments).store
    elif name in PARSERS:
        assert PARSERS[name](arguments)
    else:
        assert parse([name, *arguments]).command == name


def test_benchmarks_are_run_as_modules() -> None:
    """So say the documents, and each benchmark."""
    benchmarks = [path for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text()]
    assert benchmarks
    for path in benchmarks:
        assert f"python -m benchmarks.{path.stem}" in path.read_text(), path
    for path in (*DOCUMENTS, ROOT / "Makefile"):
        assert "python benchmarks/" not in path.read_text(), path
        for name in re.findall(r"python -m benchmarks\.(\w+)", path.read_text()):
            assert (ROOT / "benchmarks" / f"{name}.py").is_file(), (path, name)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_anchors_are_headings(path: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", path.read_text()):
        there = (path.parent / target) if target else path
        headings = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}, anchor


def test_the_map_names_every_module() -> None:
    """CONTRIBUTING.md has a section for each package, with its modules or their folder; what it names is there."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for named in re.findall(r"`((?:app|model|training|tests|benchmarks|docs)/[a-z0-9_/.]+)`", text):
        assert (ROOT / named).exists(), named
    for package in ("app", "model", "training"):
        section = text.partition(f"\n### {package}/\n")[2].partition("\n#")[0]
        named = set(re.findall(r"[\w/]+", " ".join(re.findall("`([^`]+)`", section))))
        paths = [path for path in (ROOT / package).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
        there = {f"{path.name}/" if path.is_dir() else path.stem for path in paths} - {"__init__"}
        assert there - named == set(), package


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_exist(path: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in re.findall(r"(?:^    |`)make ([a-z-]+)", path.read_text(), re.MULTILINE):
        assert target in targets


def test_the_readmes_reply_is_one() -> None:
    (block,) = re.findall(r"```json\n(.+?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    reply = json.loads(block)
    assert Prediction.model_validate(reply).label == "anomaly"
    assert list(reply) == list(Prediction.model_fields)
