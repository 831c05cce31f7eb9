"""Which wheels of the CPU image's packages are for Linux on ARM64: `make lock` writes them down.

    python -m tests.support.wheels

asks pip's own index for each locked package, downloads none, and writes requirements/serve-cpu-aarch64.txt as sha256sum
does. That a lock file has hashes of such wheels can't be told from the hashes alone.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags

ROOT: Final = Path(__file__).parents[2]
LOCK: Final = ROOT / "requirements" / "serve-cpu.txt"
RECORD: Final = ROOT / "requirements" / "serve-cpu-aarch64.txt"
PLATFORMS: Final = [f"manylinux_2_{minor}_aarch64" for minor in range(36, 16, -1)] + ["manylinux2014_aarch64"]
"""glibc up to that of Debian 12."""


def python_version() -> tuple[int, int]:
    """The image's."""
    found = re.search(r"^ARG PYTHON_IMAGE=python:(\d+)\.(\d+)-", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert found
    return int(found[1]), int(found[2])


def tags() -> set[Tag]:
    """Of wheels that the image's Python takes on ARM64."""
    version = python_version()
    interpreter = f"cp{version[0]}{version[1]}"
    return {*cpython_tags(version, platforms=PLATFORMS), *compatible_tags(version, interpreter, PLATFORMS)}


def locked() -> dict[str, set[str]]:
    """SHA-256 by `name==version`, of what is installed there."""
    environment = {"sys_platform": "linux", "platform_machine": "aarch64", "implementation_name": "cpython"}
    environment["python_full_version"] = "{}.{}.0".format(*python_version())
    found: dict[str, set[str]] = {}
    for entry in re.split(r"\n(?=[a-z])", LOCK.read_text()):
        wanted = Requirement(entry.partition("\\\n")[0])
        if wanted.marker is None or wanted.marker.evaluate(environment):
            found[f"{wanted.name}{wanted.specifier}"] = set(re.findall(r"sha256:([0-9a-f]{64})", entry))
    return found


def _wheels() -> Iterator[tuple[str, str]]:
    """SHA-256 and file name, as pip would choose them. Raises CalledProcessError where there is none of a package."""
    flags = "--quiet --dry-run --report - --target nowhere --no-deps --ignore-installed --only-binary :all:"
    flags += " --ignore-requires-python"  # this one's is another
    flags += " --python-version {}.{}".format(*python_version()) + "".join(f" --platform {each}" for each in PLATFORMS)
    command = [sys.executable, "-m", "pip", "install", *flags.split(), "--require-hashes", "-r", "/dev/stdin"]
    wanted = [" --hash=sha256:".join([name, *sorted(digests)]) for name, digests in locked().items()]
    run = subprocess.run(command, input="\n".join(wanted), stdout=subprocess.PIPE, text=True, check=True)
    for each in json.loads(run.stdout)["install"]:
        source = each["download_info"]
        yield source["archive_info"]["hashes"]["sha256"], source["url"].rpartition("/")[2].partition("#")[0]


if __name__ == "__main__":
    lines = sorted(_wheels(), key=lambda wheel: wheel[1].lower())
    RECORD.write_text("".join(f"{digest}  {name}\n" for digest, name in lines))
