"""tests/conftest.py: files named as slow exist; a skipped test is no failure on anybody's machine, and is one in CI."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import SLOW

ROOT = Path(__file__).parent.parent
MARKED = """
import pytest

@pytest.mark.skipif(True, reason="needs nginx")
def test_a(): ...
def test_b(): ...
"""
BROKEN_OFF = """
import pytest

def test_a(): pytest.skip("needs nginx")
"""
WHOLE = """
import pytest

pytest.skip("needs nginx", allow_module_level=True)
"""
WITHOUT_CUDA = MARKED.replace("nginx", "a CUDA device")
EXPECTED = MARKED.replace("skipif(True", "xfail(True").replace("...", "assert False", 1)


@pytest.mark.parametrize("ci", [False, True])
@pytest.mark.parametrize(
    ("tests", "fails"), [(MARKED, True), (BROKEN_OFF, True), (WHOLE, True), (WITHOUT_CUDA, False), (EXPECTED, False)]
)
def test_skipped(tmp_path: Path, tests: str, fails: bool, ci: bool) -> None:
    (tmp_path / "test_some.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "-c", os.devnull]
    environment = os.environ | {"CI": "true" if ci else "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    run = subprocess.run(
        [*command, str(tmp_path)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ("not tested: needs nginx" in run.stdout) == (ci and fails), run.stdout
    assert (run.returncode in (1, 2)) == (ci and fails), run.stdout


def test_what_is_left_out_of_make_test_fast_is_there() -> None:
    assert [path for path in SLOW if not path.is_file()] == []


def test_debian_packages_are_those_that_ci_installs() -> None:
    named = {
        package
        for file in (ROOT / "tests").rglob("*.py")
        for package in re.findall(r"[(]Debian package ([a-z0-9-]+)[)]", file.read_text())
    }
    listed = (ROOT / "requirements" / "debian.txt").read_text().splitlines()
    assert len(named) >= 5
    assert named <= set(listed)
    assert listed[1:] == sorted(set(listed[1:]))
