"""A CUDA device: the engine by batch size, what recording a graph costs those who are served meanwhile, the service.

    python -m benchmarks.cuda --version STORE/MODEL/N [--rounds 3]

The service runs on the GPU and on the CPUs of the same machine, in turns.
"""

import argparse
import subprocess
import threading
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.contender import Running
from benchmarks.engines import operations
from benchmarks.images import PAYLOADS, camera_image, multipart
from benchmarks.load import percentile
from benchmarks.machine import report
from benchmarks.service import Measured, camspector, measure
from model.artifact import Artifact, read_artifact
from model.engines.graphs import SIZES
from model.engines.pytorch import TorchEngine
from model.manifest import VariantName

_CALLS: Final = 12
_CASES: Final = (("1000² JPEG", 1), ("1000² JPEG", 8), ("1000² JPEG", 64), ("224² PNG", 64))


def opened(artifact: Artifact, variant: VariantName) -> TorchEngine:
    """The version's network on the device."""
    file = artifact.file(artifact.manifest.variant(variant).files["torch"])
    return TorchEngine(file, artifact.manifest.network, variant, "cuda")


def pixels(side: int, batch: int) -> NDArray[np.uint8]:
    """Noise, uint8 batch×S×S×3."""
    return np.random.default_rng(0).integers(0, 256, (batch, side, side, 3), np.uint8)


def milliseconds(engine: TorchEngine, images: NDArray[np.uint8]) -> float:
    """Median of a call, from pixels in the host's memory to maps there."""
    times = []
    for call in range(_CALLS + 5):
        began = time.perf_counter()
        engine.run(images)
        if call >= 5:
            times.append(1000 * (time.perf_counter() - began))
    return median(times)


def by_batch(artifact: Artifact, side: int) -> list[dict[str, object]]:
    """float16 and float32 of images S×S, by batch size."""
    engines: dict[VariantName, TorchEngine] = {name: opened(artifact, name) for name in ("float16", "float32")}
    work = operations(artifact.manifest) * (side / artifact.manifest.preprocessing.input_size) ** 2
    rows: list[dict[str, object]] = []
    for batch in SIZES:
        images = pixels(side, batch)
        took = {name: milliseconds(engine, images) for name, engine in engines.items()}
        rows.append(
            {
                "batch": batch,
                "float16 ms": f"{took['float16']:.2f}",
                "images/s": f"{1000 * batch / took['float16']:,.0f}",
                "TFLOP/s": f"{work * batch / took['float16'] / 1e9:.0f}",
                "float32 ms": f"{took['float32']:.2f}",
                "float32 images/s": f"{1000 * batch / took['float32']:,.0f}",
            }
        )
    return rows


def while_recording(artifact: Artifact) -> list[dict[str, object]]:
    """Calls of one image by a version that serves, before and while another is loaded and records its graphs."""
    side = artifact.manifest.preprocessing.input_size
    serving, image = opened(artifact, "float16"), pixels(side, 1)
    milliseconds(serving, image)
    calls: list[tuple[float, float]] = []
    stopped = threading.Event()

    def serve() -> None:
        while not stopped.is_set():
            began = time.perf_counter()
            serving.run(image)
            calls.append((began, 1000 * (time.perf_counter() - began)))

    thread = threading.Thread(target=serve)
    thread.start()
    time.sleep(2)
    began = time.perf_counter()
    other = opened(artifact, "float16")
    loaded = time.perf_counter()
    for batch in SIZES:
        other.run(pixels(side, batch))
    ended = time.perf_counter()
    stopped.set()
    thread.join()
    spans = {
        "alone": (0.0, began),
        "while another's weights are loaded": (began, loaded),
        "while it records seven graphs": (loaded, ended),
    }
    rows: list[dict[str, object]] = []
    for name, (first, last) in spans.items():
        times = [took for at, took in calls if first <= at < last]
        rows.append(
            {
                "calls of one image": name,
                "seconds": f"{last - max(first, calls[0][0]):.2f}",
                "calls": len(times),
                **{f"p{percent} ms": f"{percentile(times, percent):.2f}" for percent in (50, 99, 100)},
            }
        )
    return rows


def service(version: Path, rounds: int, seconds: float) -> list[dict[str, object]]:
    """By the GPU and by the CPUs, in turns: medians."""
    images = {name: camera_image(*what) for name, what in PAYLOADS.items()}
    entrants = [camspector(device, version, "--device", device) for device in ("cuda", "cpu")]
    found: dict[tuple[str, str, int], list[Measured]] = defaultdict(list)
    for _ in range(rounds):
        for entrant in entrants:
            with Running(entrant) as running:
                for payload, clients in _CASES:
                    body, headers = multipart(images[payload], entrant.field)
                    found[entrant.name, payload, clients].append(measure(running, body, headers, clients, seconds))
    return [
        {
            "device": name,
            "image": payload,
            "clients": clients,
            "images/s": f"{median(each.load.rate for each in measured):.0f}",
            "p50 ms": f"{median(each.load.milliseconds(50) for each in measured):.1f}",
            "p99 ms": f"{median(each.load.milliseconds(99) for each in measured):.1f}",
            "CPU ms/image": f"{1000 * median(each.cpu_seconds for each in measured):.1f}",
            "peak MB": f"{max(each.megabytes for each in measured):.0f}",
        }
        for (name, payload, clients), measured in found.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", type=Path, required=True, help="a version's folder in a store")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement of the service")
    parser.add_argument("--json", type=Path, help="folder for the same figures as JSON")
    chosen = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("PyTorch sees no CUDA device")
    print(subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout.strip())
    artifact = read_artifact(chosen.version)
    folder = chosen.json
    for side in (224, 448):
        report(f"The engine, {side} px", by_batch(artifact, side), folder and folder / f"cuda_engine_{side}.json")
    report("Another version beside", while_recording(artifact), folder and folder / "cuda_recording.json")
    megabytes = torch.cuda.max_memory_reserved() / 1e6
    print(f"\nThe engines, each with its graphs, reserved {megabytes:,.0f} MB of the device's memory.")
    rows = service(chosen.version.resolve(), chosen.rounds, chosen.seconds)
    report("The service", rows, folder and folder / "cuda_service.json")


if __name__ == "__main__":
    main()
