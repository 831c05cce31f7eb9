"""The whole service over HTTP against others that serve the same model, in interleaved rounds on this machine.

    python -m benchmarks.service --version run/store/carpet/1 [--narrow STORE/carpet/1] [--litserve PYTHON] [--rounds 3]

Each contender is started, warmed and measured for some seconds, then the next one, and that several times over: figures
are medians of the rounds, and ratios are of figures of the same round.
"""

import argparse
import asyncio
import sys
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from benchmarks.contender import Contender, Running
from benchmarks.images import PAYLOADS, camera_image, multipart
from benchmarks.load import Load, closed, opened
from benchmarks.machine import report
from model.detector import Detector, load_detector

_WARM_SECONDS: Final = 1.5
_BARE_SECONDS: Final = 3.0


@dataclass(frozen=True)
class Measured:
    """One contender in one round, with clients that each wait for their answer."""

    load: Load
    cpu_seconds: float
    """Of the service, for each image."""
    megabytes: float
    """The most that it had resident."""


NARROW: Final = ", narrow"


def contenders(version: Path, narrow: Path | None, litserve: Path | None) -> list[Contender]:
    """Ours with the variant that serves by default, and in float32; the same of a version with a narrow trunk; what
    one writes in an afternoon; LitServe with either version's files."""
    uvicorn = (sys.executable, "-m", "uvicorn", "benchmarks.baseline_service:app", "--port", "{port}")
    found = [
        camspector("Camspector", version),
        camspector("Camspector, float32", version, "--variant", "float32"),
        Contender("afternoon", uvicorn, "/ready", "/predict", (("BASELINE_VERSION", str(version)),)),
    ]
    if litserve:
        found += [_litserve(f"LitServe, {kind}", litserve, version, kind) for kind in ("int8", "eager")]
    if narrow:
        found.append(camspector(f"Camspector{NARROW}", narrow))
        if litserve:
            found.append(_litserve(f"LitServe, int8{NARROW}", litserve, narrow, "int8"))
    return found


def camspector(name: str, version: Path, *flags: str) -> Contender:
    store, model = version.parent.parent, version.parent.name
    serve = (
        sys.executable,
        "-m",
        "app",
        "serve",
        "--store",
        str(store),
        "--default-model",
        model,
        "--versions-kept",
        "1",
    )
    command = (*serve, "--port", "{port}", "--deadline-ms", "60000", "--log-level", "warning", *flags)
    return Contender(name, command, "/readyz", "/predict")


def _litserve(name: str, python: Path, version: Path, kind: str) -> Contender:
    command = (str(python), "-m", "benchmarks.litserve_service", "{port}")
    environment = (("LITSERVE_VERSION", str(version)), ("LITSERVE_MODEL", kind))
    return Contender(name, command, "/health", "/predict", environment, "request")


def bare(detector: Detector, seconds: float = _BARE_SECONDS) -> tuple[float, float]:
    """The engine without a service: images a second by all its workers, and milliseconds of one image alone."""
    pixels = np.random.default_rng(0).integers(0, 256, (1, detector.input_size, detector.input_size, 3), np.uint8)
    engine, done = detector.engine, []
    until = time.perf_counter() + seconds

    def worker() -> None:
        while time.perf_counter() < until:
            engine.run(pixels, exclusive=engine.max_concurrency == 1)
            done.append(time.perf_counter())

    began = time.perf_counter()
    threads = [threading.Thread(target=worker) for _ in range(engine.max_concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = len(done) / (time.perf_counter() - began)
    alone = []
    for _ in range(20):
        began = time.perf_counter()
        engine.run(pixels)
        alone.append(time.perf_counter() - began)
    return rate, 1000 * median(alone)


def measure(running: Running, body: bytes, headers: dict[str, object], clients: int, seconds: float) -> Measured:
    """Warm it, then load it."""
    path = running.contender.path
    asyncio.run(closed(running.port, path, body, headers, clients, _WARM_SECONDS))
    before = running.cpu_seconds()
    load = asyncio.run(closed(running.port, path, body, headers, clients, seconds))
    assert load.latencies, f"{running.contender.name} answered nothing"
    assert not load.failed, f"{running.contender.name} failed {load.failed} of {len(load.latencies)} requests"
    return Measured(load, (running.cpu_seconds() - before) / len(load.latencies), running.megabytes("VmHWM"))


def main() -> None:
    chosen = _arguments()
    detectors = {
        "Camspector": load_detector(chosen.version, "cpu"),
        "Camspector, float32": load_detector(chosen.version, "cpu", variant="float32"),
    }
    if chosen.narrow:
        detectors[f"Camspector{NARROW}"] = load_detector(chosen.narrow, "cpu")
    entrants = contenders(chosen.version, chosen.narrow, chosen.litserve)
    images = {name: camera_image(*what) for name, what in PAYLOADS.items()}
    rounds: dict[tuple[str, str, int], list[Measured]] = defaultdict(list)
    bares: dict[str, list[tuple[float, float]]] = defaultdict(list)
    open_loops: list[Load] = []
    for number in range(chosen.rounds):
        for name, detector in detectors.items():
            bares[name].append(bare(detector))
        for entrant in entrants:
            with Running(entrant) as running:
                cases = [("1000² JPEG", 8), ("1000² JPEG", 1)]
                if number == 0 and not chosen.brief:
                    cases += [("1000² JPEG", 2), ("1000² JPEG", 32), ("1000² PNG", 8), ("224² PNG", 8)]
                for payload, clients in cases:
                    body, headers = multipart(images[payload], entrant.field)
                    found = measure(running, body, headers, clients, chosen.seconds)
                    rounds[entrant.name, payload, clients].append(found)
                    print(f"round {number + 1}: {entrant.name}, {payload}, {clients} clients: {found.load.rate:.1f}/s")
                if entrant.name == "Camspector":
                    rate = 0.7 * rounds[entrant.name, "1000² JPEG", 8][-1].load.rate
                    body, headers = multipart(images["1000² JPEG"], entrant.field)
                    open_loops.append(
                        asyncio.run(opened(running.port, entrant.path, body, headers, rate, 3 * chosen.seconds))
                    )
    _print(rounds, bares, open_loops, chosen.json)


def _print(
    rounds: dict[tuple[str, str, int], list[Measured]],
    bares: dict[str, list[tuple[float, float]]],
    open_loops: list[Load],
    folder: Path | None,
) -> None:
    rows: list[dict[str, object]] = []
    ours_is = next((name for name, *_ in rounds if name == f"Camspector{NARROW}"), "Camspector")
    for (name, payload, clients), found in rounds.items():
        ours = rounds[ours_is, payload, clients]
        ratios = [mine.load.rate / other.load.rate for mine, other in zip(ours, found, strict=True)]
        rows.append(
            {
                "service": name,
                "image": payload,
                "clients": clients,
                "images/s": f"{median(each.load.rate for each in found):.1f}",
                "p50 ms": f"{median(each.load.milliseconds(50) for each in found):.0f}",
                "p99 ms": f"{median(each.load.milliseconds(99) for each in found):.0f}",
                "CPU ms/image": f"{1000 * median(each.cpu_seconds for each in found):.0f}",
                "peak MB": f"{max(each.megabytes for each in found):.0f}",
                f"{ours_is} is faster by": f"{median(ratios):.2f}",
            }
        )
    report("Closed loop", rows, folder and folder / "service.json")
    shares: list[dict[str, object]] = []
    for name, measured in bares.items():
        busy, idle = rounds[name, "1000² JPEG", 8], rounds[name, "1000² JPEG", 1]
        shares.append(
            {
                "service": name,
                "bare images/s": f"{median(rate for rate, _ in measured):.1f}",
                "share that reaches 8 clients": _percent(
                    [each.load.rate / rate for each, (rate, _) in zip(busy, measured, strict=True)]
                ),
                "bare ms": f"{median(ms for _, ms in measured):.1f}",
                "idle p50 over bare, ms": _over(idle, measured),
            }
        )
    report("Against the bare engine, 1000² JPEG", shares, folder and folder / "share.json")
    opens: list[dict[str, object]] = [
        {
            "requests": len(load.latencies) + load.failed,
            "failed": load.failed,
            "images/s": f"{load.rate:.1f}",
            "p50 ms": f"{load.milliseconds(50):.0f}",
            "p99 ms": f"{load.milliseconds(99):.0f}",
            "p99/p50": f"{load.milliseconds(99) / load.milliseconds(50):.2f}",
        }
        for load in open_loops
    ]
    report("Open loop at 70 % of what 8 clients get, 1000² JPEG", opens, folder and folder / "open_loop.json")


def _over(idle: list[Measured], measured: list[tuple[float, float]]) -> str:
    return f"{median(each.load.milliseconds(50) - ms for each, (_, ms) in zip(idle, measured, strict=True)):+.1f}"


def _percent(shares: list[float]) -> str:
    return f"{median(shares):.0%}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", type=Path, required=True, help="a version's folder in a store")
    parser.add_argument("--narrow", type=Path, help="a version of the same product with a narrow trunk")
    parser.add_argument("--litserve", type=Path, help="Python that has LitServe (make run/litserve/ready)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--brief", action="store_true", help="only what ratios are taken of: JPEG, 8 clients and 1")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--json", type=Path, help="folder for the same figures as JSON")
    chosen = parser.parse_args()
    chosen.version, chosen.narrow = chosen.version.resolve(), chosen.narrow and chosen.narrow.resolve()
    return chosen


if __name__ == "__main__":
    main()
