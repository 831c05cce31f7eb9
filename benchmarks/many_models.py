"""Many products on one station: start, memory at rest, and the first answer of a model that isn't in memory.

    python -m benchmarks.many_models --version STORE/MODEL/N --models 100 --models-max-bytes 300000000

The version is in the store under so many names, as hard links. Two kinds of first answer: of models that nobody has
asked for, right after the start, and of those that were tested while there was time. Then the line changes between two
products that have no room beside each other.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.client import Client, Reply
from benchmarks.contender import Contender, Running
from benchmarks.images import camera_image
from benchmarks.machine import report

ASKED = 10
"""Models of each kind that are asked for."""
UNTESTED = 5
PATIENCE = 1200.0


def link(version: Path, store: Path, models: int) -> list[str]:
    """The version under so many names."""
    names = [f"model-{number:03}" for number in range(models)]
    for name in names:
        shutil.copytree(version, store / name / "1", copy_function=lambda source, copy: Path(copy).hardlink_to(source))
    return names


async def first_answers(client: Client, names: list[str], image: bytes) -> list[float]:
    """Seconds each."""
    return [checked(await client.post(f"/v1/models/{name}/predict", image), name).seconds for name in names]


def checked(reply: Reply, name: str) -> Reply:
    if reply.status != 200:
        raise RuntimeError(f"{name}: {reply}")
    return reply


async def loaded(client: Client) -> dict[str, bool | None]:
    """Whether a model is in memory; None: it was not tested yet."""
    models = json.loads((await client.get("/v1/models")).body)["models"]
    return {each["name"]: each["versions"][0]["loaded"] if each["versions"] else None for each in models}


async def measure(running: Running, image: bytes) -> dict[str, object]:
    client = Client(running.port)
    untested = [name for name, state in (await loaded(client)).items() if state is None][-UNTESTED:]
    cold = await first_answers(client, untested, image)
    began = time.monotonic()
    while None in (await loaded(client)).values():
        if time.monotonic() - began > PATIENCE:
            raise RuntimeError("not all models are tested yet")
        await asyncio.sleep(1)
    tested = time.monotonic() - began
    rest = running.megabytes()
    away = [name for name, state in (await loaded(client)).items() if not state][:ASKED]
    warm = await first_answers(client, away, image)
    again = await first_answers(client, [away[-1]] * ASKED, image)
    client.close()
    return {
        "start to ready, s": f"{running.start_seconds:.1f}",
        "all tested after, s": f"{tested:.0f}",
        "at rest, MB": f"{rest:.0f}",
        "after the answers, MB": f"{running.megabytes():.0f}",
        "first answer, tested before: p50, max, s": f"{median(warm):.2f}, {max(warm):.2f}",
        "first answer, never loaded: p50, max, s": f"{median(cold):.2f}, {max(cold):.2f}",
        "answer of a loaded one, s": f"{median(again):.2f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", type=Path, required=True, help="a version's folder in a store")
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--models-max-bytes", type=int, default=300_000_000)
    parser.add_argument("--json", type=Path, help="folder for the same figures as JSON")
    chosen = parser.parse_args()
    image = camera_image("JPEG", 1000)
    with tempfile.TemporaryDirectory(dir=chosen.version.resolve().parents[2], prefix=".many-models-") as folder:
        link(chosen.version.resolve(), Path(folder), chosen.models)
        command = (
            sys.executable,
            "-m",
            "app",
            "serve",
            "--store",
            folder,
            "--port",
            "{port}",
            "--deadline-ms",
            "60000",
        )
        limit = ("--models-max-bytes", str(chosen.models_max_bytes))
        with Running(Contender("service", (*command, *limit), "/readyz", "")) as running:
            row = asyncio.run(measure(running, image))
    report(f"{chosen.models} models", [row], chosen.json and chosen.json / "many_models.json")


if __name__ == "__main__":
    main()
