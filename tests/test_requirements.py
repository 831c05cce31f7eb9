"""requirements/*.txt are what pyproject.toml asks for, and what changes under us has an upper bound."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SERVING = PROJECT["project"]["dependencies"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
FILES = {
    "dev": [*SERVING, *(each for extra in EXTRAS.values() for each in extra), *PROJECT["dependency-groups"]["dev"]],
    "serve": [*SERVING, *EXTRAS["tracing"]],
    "serve-cpu": [*SERVING, *EXTRAS["tracing"], *EXTRAS["cpu"]],
    "train": [*SERVING, *EXTRAS["train"]],
}
BOUNDED = {"fastapi", "h11", "onnxruntime", "pillow", "python-multipart", "uvicorn"}


@pytest.mark.parametrize("file", FILES)
def test_locked_versions_are_within_the_bounds(file: str) -> None:
    """Where not: make lock."""
    text = (ROOT / "requirements" / f"{file}.txt").read_text()
    for wanted in map(Requirement, FILES[file]):
        versions = re.findall(rf"^{re.escape(wanted.name)}==(\S+)", text, re.MULTILINE)
        assert versions, wanted
        assert all(version in wanted.specifier for version in versions), wanted


def test_upper_bounds() -> None:
    wanted = [Requirement(each) for each in [*SERVING, *EXTRAS["cpu"], *EXTRAS["train"]]]
    assert {each.name for each in wanted if "<" in str(each.specifier)} >= BOUNDED


@pytest.mark.parametrize("file", FILES)
def test_no_index_is_named(file: str) -> None:
    """Where packages come from is the user's own setting."""
    assert "://" not in (ROOT / "requirements" / f"{file}.txt").read_text()
