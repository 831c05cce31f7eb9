"""requirements/*.txt are what pyproject.toml asks for, and what changes under us has an upper bound."""

import re
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from tests.support.wheels import RECORD, locked, tags

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SERVING = PROJECT["project"]["dependencies"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
FILES = {
    "dev": [*SERVING, *(each for extra in EXTRAS.values() for each in extra), *PROJECT["dependency-groups"]["dev"]],
    "serve": [*SERVING, *EXTRAS["client"], *EXTRAS["fleet"], *EXTRAS["tracing"]],
    "serve-cpu": [*SERVING, *EXTRAS["client"], *EXTRAS["fleet"], *EXTRAS["tracing"], *EXTRAS["cpu"]],
    "train": [*SERVING, *EXTRAS["train"]],
}
BOUNDED = {"fastapi", "h11", "onnxruntime", "pillow", "python-multipart", "uvicorn"}


@pytest.mark.parametrize("file", FILES)
def test_locked_versions_are_within_the_bounds(file: str) -> None:
    """Where not: make lock."""
    text = (ROOT / "requirements" / f"{file}.txt").read_text()
    for wanted in map(Requirement, FILES[file]):
        versions = re.findall(rf"^{re.escape(wanted.name)}(?:\[\S+])?==(\S+)", text, re.MULTILINE)
        assert versions, wanted
        assert all(version in wanted.specifier for version in versions), wanted


@pytest.mark.parametrize("file", FILES)
def test_extras_that_packages_ask_for_are_locked_by_name(file: str) -> None:
    """Without them, the pip that Python 3.11 brings refuses the file on the day when a newer version is released."""
    text = (ROOT / "requirements" / f"{file}.txt").read_text()
    entries = [Requirement(line.rstrip(" \\")) for line in re.findall(r"^\S+==.*", text, re.MULTILINE)]
    here = [each for each in entries if each.marker is None or each.marker.evaluate()]
    locked = {canonicalize_name(each.name): each.extras for each in here}
    asked = [
        wanted
        for name, extras in locked.items()
        for wanted in map(Requirement, requires(name) or [])
        if wanted.extras
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in ["", *extras])
    ]
    assert [str(each) for each in asked if not each.extras <= locked[canonicalize_name(each.name)]] == []
    assert file == "train" or asked


def test_upper_bounds() -> None:
    wanted = [Requirement(each) for each in [*SERVING, *EXTRAS["cpu"], *EXTRAS["train"]]]
    assert {each.name for each in wanted if "<" in str(each.specifier)} >= BOUNDED


@pytest.mark.parametrize("file", FILES)
def test_no_index_is_named(file: str) -> None:
    """Where packages come from is the user's own setting."""
    assert "://" not in (ROOT / "requirements" / f"{file}.txt").read_text()


def test_every_package_of_the_cpu_image_has_a_wheel_for_arm64() -> None:
    """As written down with the lock file. Where not: python -m tests.support.wheels, which needs pip's index."""
    lines = [line.split("  ") for line in RECORD.read_text().splitlines()]
    packages = locked()
    assert len(packages) > 40
    have = set()
    for digest, file in lines:
        name, version, _, built_for = parse_wheel_filename(file)
        (package,) = [each for each in packages if canonicalize_name(each.partition("==")[0]) == name]
        assert package.partition("==")[2] == str(version), file
        assert built_for & tags(), file
        assert digest in packages[package], file
        have.add(package)
    assert packages.keys() - have == set()
