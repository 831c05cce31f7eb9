"""`pip install .` gives one command and one package, and the version is the same wherever it is said."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from app.__main__ import PARSERS
from app.documentation import VERSION
from tests.support.artifacts import publish
from tests.support.images import encoded
from tests.support.process import PATIENCE, served
from training.__main__ import COMMANDS

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BUILD = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip would put into site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-c", BUILD, str(folder)], cwd=ROOT, capture_output=True, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site-packages")
    return folder / "site-packages"


def camspector(installed: Path, *arguments: str, without: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """The command, called from elsewhere. `without`: modules that aren't there."""
    code = f"import sys; sys.modules.update(dict.fromkeys({list(without)})); import camspector.__main__ as command; "
    return subprocess.run(
        [sys.executable, "-c", f"{code}sys.argv[0] = 'camspector'; sys.exit(command.main())", *arguments],
        cwd=installed.parent,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_but_one_package_is_installed(installed: Path) -> None:
    assert {path.name for path in installed.iterdir()} == {"camspector", f"camspector-{VERSION}.dist-info"}
    files = {file for folder in ("app", "model", "training") for file in (ROOT / folder).rglob("*") if file.is_file()}
    wanted = {file.relative_to(ROOT) for file in files if file.suffix != ".pyc"}
    assert wanted
    assert {file for file in wanted if not (installed / "camspector" / file).is_file()} == set()


def test_the_command_is_what_is_installed(installed: Path) -> None:
    (scripts,) = installed.glob("*.dist-info/entry_points.txt")
    assert scripts.read_text().split() == ["[console_scripts]", "camspector", "=", "camspector.__main__:main"]


def test_its_help_names_every_command(installed: Path) -> None:
    run = camspector(installed, "--help")
    assert (run.returncode, run.stderr) == (0, "")
    assert re.findall(r"[a-z]+(?=[,\n])", run.stdout.partition("\n\n")[2]) == ["serve", *PARSERS, *COMMANDS]


@pytest.mark.parametrize("command", ["serve", *PARSERS, "fit"])
def test_a_command_says_its_own_name(installed: Path, command: str) -> None:
    run = camspector(installed, command, "--help")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith(f"usage: camspector {command} ")


@pytest.mark.parametrize("arguments", [[], ["predict"]])
def test_other_commands_are_refused(installed: Path, arguments: list[str]) -> None:
    run = camspector(installed, *arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("usage: camspector COMMAND")


@pytest.mark.parametrize(
    ("command", "missing", "extra"), [("serve", "uvicorn", "extra cpu"), ("crossval", "sklearn", "extra train")]
)
def test_what_is_missing_is_named(installed: Path, command: str, missing: str, extra: str) -> None:
    run = camspector(installed, command, "--data", "parts", without=[missing])
    assert run.returncode == 2
    assert re.fullmatch(rf"camspector {command}: .*\b{missing}\b.*; .*\b{extra}\b.*\n", run.stderr)


def test_the_installed_service_inspects(installed: Path, tmp_path: Path) -> None:
    """Codec processes too find what they import."""
    publish(tmp_path, onnx=True)
    with served(tmp_path, program=[str(installed / "camspector")]) as server:
        server.wait_until_ready()
        reply = httpx.post(f"{server.url}/predict", content=encoded(), timeout=PATIENCE)
    assert reply.status_code == 200


def test_versions_agree() -> None:
    assert PROJECT["version"] == VERSION
    released = re.findall(r"^## (\d\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == VERSION
