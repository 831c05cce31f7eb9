"""Where the service's time goes: the share of each step, and of each function, of an image's CPU time under load.

    python -m benchmarks.profile --version run/store/carpet/1 [--clients 8] [--seconds 20]

The service is started as `make run` starts it and asked by clients that each wait for their answer; py-spy samples the
threads of all its processes that are not waiting. A sample belongs to the step of the innermost of its functions that
has one, and to that function. What a library does without Python counts for the function that called it. Milliseconds
are shares of the CPU time that the system counted. A thread that waits for a CPU is seen as one that has it, so shares
of those that wake often, the event loop above all, are too large where CPUs are short. The network's own threads, which
an image has that comes alone, aren't Python's and aren't seen: with two clients a CPU or more there are none.
"""

import argparse
import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.contender import Running
from benchmarks.images import PAYLOADS, camera_image, multipart
from benchmarks.load import closed
from benchmarks.machine import report
from benchmarks.service import camspector

_STEPS: Final = {
    "decode": ("model/codecs/", "model/image.py"),
    "resize": ("model/preprocessing.py", "model/tiles.py", "model/roi.py"),
    "to and from codec processes": ("app/sandbox/",),
    "queue": ("app/inference/", "concurrent/futures/", "threading.py", "queue.py"),
    "engine": ("model/engines/",),
    "post-processing": (
        "model/evidence.py",
        "model/verdict.py",
        "model/regions.py",
        "model/gate.py",
        "model/appearance.py",
        "model/image_measures.py",
        "model/detector.py",
        "model/terms.py",
    ),
    "render": ("model/render.py",),
    "records": ("app/records/",),
    "metrics, log, drift": ("app/monitoring/", "app/drift/", "prometheus_client/", "logging/", "opentelemetry/"),
    "JSON": ("app/schemas.py", "app/routes/", "pydantic/", "pydantic_core/", "msgspec/", "json/", "base64.py"),
    "HTTP and event loop": (
        "app/connection/",
        "app/middleware/",
        "app/body/",
        "uvicorn/",
        "h11/",
        "starlette/",
        "fastapi/",
        "python_multipart/",
        "anyio/",
        "uvloop/",
        "asyncio/",
    ),
}
"""Where the functions of each step are."""
_OTHER: Final = "other"
_FRAME: Final = re.compile(r"(?P<function>.+) \((?P<file>[^()]+?)(?::\d+)?\)")
_PER_SECOND: Final = 200
_WARM_SECONDS: Final = 3.0


@dataclass(frozen=True)
class Function:
    """The function that a sample belongs to."""

    step: str
    name: str
    file: str


def samples(raw: str) -> Iterator[tuple[Function, int]]:
    """Of py-spy's raw format: a line a stack, the outermost function first, and how often it was seen."""
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        yield _function_of(stack.split(";")), int(count)


def _function_of(stack: list[str]) -> Function:
    frames = [match for frame in reversed(stack) if (match := _FRAME.fullmatch(frame))]
    for frame in frames:
        for step, files in _STEPS.items():
            if frame["file"].startswith(files):
                return Function(step, frame["function"], frame["file"])
    return Function(_OTHER, frames[0]["function"], frames[0]["file"]) if frames else Function(_OTHER, "", "")


def record(running: Running, payload: str, clients: int, seconds: float) -> tuple[str, float]:
    """py-spy's samples of the service under load, and the CPU seconds of an image."""
    body, headers = multipart(camera_image(*PAYLOADS[payload]), running.contender.field)
    path = running.contender.path
    asyncio.run(closed(running.port, path, body, headers, clients, _WARM_SECONDS))
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "samples"
        spy = [_py_spy(), "record", "--pid", str(running.pid), "--subprocesses", "--function", "--format", "raw"]
        spy += ["--output", str(raw), "--duration", f"{seconds:.0f}", "--rate", str(_PER_SECOND), "--nonblocking"]
        process = subprocess.Popen(spy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        before = running.cpu_seconds()
        load = asyncio.run(closed(running.port, path, body, headers, clients, seconds))
        used = running.cpu_seconds() - before
        said, _ = process.communicate()
        if process.returncode or not raw.exists():
            raise SystemExit(f"py-spy failed (it needs to be root, or CAP_SYS_PTRACE):\n{said}")
        assert not load.failed, f"{load.failed} of {len(load.latencies)} requests failed"
        return raw.read_text(), used / len(load.latencies)


def _py_spy() -> str:
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if not found:
        raise SystemExit("there is no py-spy: pip install py-spy (it is in requirements/dev.txt)")
    return found


def table(counts: Iterable[tuple[dict[str, object], int]], total: int, cpu_seconds: float) -> list[dict[str, object]]:
    """Rows with the share of all samples, and of an image's CPU time."""
    return [
        {**names, "share": f"{count / total:.1%}", "CPU ms/image": f"{1000 * cpu_seconds * count / total:.2f}"}
        for names, count in counts
    ]


def main() -> None:
    chosen = _arguments()
    with Running(camspector("Camspector", chosen.version)) as running:
        raw, cpu_seconds = record(running, chosen.image, chosen.clients, chosen.seconds)
    functions: Counter[Function] = Counter()
    for found, count in samples(raw):
        functions[found] += count
    steps: Counter[str] = Counter()
    for found, count in functions.items():
        steps[found.step] += count
    total = steps.total()
    by_step: list[tuple[dict[str, object], int]] = [({"step": step}, count) for step, count in steps.most_common()]
    by_function: list[tuple[dict[str, object], int]] = [
        ({"step": found.step, "function": f"`{found.name}`", "file": f"`{found.file}`"}, count)
        for found, count in functions.most_common(chosen.functions)
    ]
    about = f"{chosen.image}, {chosen.clients} clients, {1000 * cpu_seconds:.1f} CPU ms an image, {total} samples"
    report(f"By step: {about}", table(by_step, total, cpu_seconds), chosen.json and chosen.json / "steps.json")
    rows = table(by_function, total, cpu_seconds)
    report(f"By function: {about}", rows, chosen.json and chosen.json / "functions.json")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", type=Path, required=True, help="a version's folder in a store")
    parser.add_argument("--image", choices=list(PAYLOADS), default="1000² JPEG")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--functions", type=int, default=25, help="how many are shown")
    parser.add_argument("--json", type=Path, help="folder for the same figures as JSON")
    chosen = parser.parse_args()
    chosen.version = chosen.version.resolve()
    return chosen


if __name__ == "__main__":
    main()
