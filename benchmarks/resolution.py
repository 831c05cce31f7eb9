"""What a frame of n tiles costs, against n images of one tile: in the network alone, and in the service. And how well
tiles are blended.

    python -m benchmarks.resolution --tile 448 --columns 3 --rows 2 --rounds 5

Random weights of the layers of a preset, on the CPU. What is sent are PNGs as large as the frame, and as the tile, all
n at once. `heatmap=none`: a heatmap of the frame is one, of n images n.
"""

import argparse
import asyncio
import io
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.client import Client
from benchmarks.large_frames import sheet
from benchmarks.machine import report
from model.detector import Detector, load_detector
from model.hypercolumn import Hypercolumn
from model.tiles import Frame, Tiling
from tests.support.artifacts import publish
from tests.support.process import served
from training.cli_arguments import at_least
from training.estimators.logistic import FeatureScale
from training.estimators.network import fresh_network
from training.features.imagenet import imagenet_trunk

OVERLAP = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tile", type=at_least(64), default=448, help="side of a tile in pixels, a multiple of 16")
    parser.add_argument("--columns", type=at_least(1), default=3)
    parser.add_argument("--rows", type=at_least(1), default=2)
    parser.add_argument("--rounds", type=at_least(1), default=5)
    parser.add_argument("--json", type=Path, metavar="FOLDER")
    chosen = parser.parse_args()
    step = chosen.tile - OVERLAP
    frame = Frame(chosen.tile + step * (chosen.columns - 1), chosen.tile + step * (chosen.rows - 1), OVERLAP)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        apart, within = (Hypercolumn((2, 3, 4), 16, image_head=True, head_apart=each) for each in (True, False))
        tiled = publish(store, "frames", hypercolumn=apart, frame=frame, size=chosen.tile, onnx=True)
        single = publish(store, "tiles", hypercolumn=within, size=chosen.tile, onnx=True)
        frames = load_detector(tiled, "cpu")
        rows = [_network(frames, load_detector(single, "cpu"), frame, chosen.rounds)]
        with served(store) as server:
            server.wait_until_ready()
            rows.append(asyncio.run(_service(server.port, frames, frame, chosen.rounds)))
    seams = {overlap: round(_seams(256, overlap), 3) for overlap in (0, 32, 48, OVERLAP, 96)}
    print(f"features of blended tiles off by, in deviations in the worst column, by overlap: {seams}")
    title = f"A frame of {frame.width}×{frame.height} in tiles of {chosen.tile}×{chosen.tile}"
    report(title, rows, chosen.json / "resolution.json" if chosen.json else None)


def _network(tiled: Detector, single: Detector, frame: Frame, rounds: int) -> dict[str, object]:
    pixels = np.random.default_rng(0).integers(0, 256, (frame.height, frame.width, 3), np.uint8)
    tiles = tiled.tiling.cut(pixels)
    seconds: dict[str, list[float]] = {"frame": [], "tiles": []}
    for _ in range(rounds + 1):
        seconds["frame"].append(_timed(lambda: tiled.run(pixels)))
        seconds["tiles"].append(_timed(lambda: [single.run(tile) for tile in tiles]))
    return _row("network", len(tiles), *(statistics.median(each[1:]) for each in seconds.values()))


async def _service(port: int, tiled: Detector, frame: Frame, rounds: int) -> dict[str, object]:
    pixels = np.random.default_rng(0).integers(0, 256, (frame.height, frame.width, 3), np.uint8)
    whole, tiles = _png(pixels), [_png(tile) for tile in tiled.tiling.cut(pixels)]
    client = Client(port)

    async def ask(model: str, image: bytes) -> None:
        path = f"/v1/models/{model}/predict?heatmap=none&regions=false"
        reply = await client.post(path, image, X_Deadline_Ms=60000)
        assert reply.status == 200, reply.body

    seconds: dict[str, list[float]] = {"frame": [], "tiles": []}
    for _ in range(rounds + 1):
        seconds["frame"].append(await _awaited(lambda: ask("frames", whole)))
        seconds["tiles"].append(await _awaited(lambda: asyncio.gather(*(ask("tiles", tile) for tile in tiles))))
    client.close()
    return _row("service", len(tiles), *(statistics.median(each[1:]) for each in seconds.values()))


def _seams(tile: int, overlap: int) -> float:
    """How far blended features are from those of one pass over a frame of two tiles, in deviations: root mean square
    over features, of the worst column of patches."""
    network = fresh_network(imagenet_trunk(None, say=lambda _: None), Hypercolumn((2, 3, 4), 16), 0, "cpu")
    tiling, width = Tiling(tile, overlap), 2 * tile - overlap
    part = sheet(np.random.default_rng(0), width, tile)
    pixels = np.repeat(np.rint(255 * part.clip(0, 1)).astype(np.uint8)[:, :, None], 3, axis=2)

    def features(frame: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            layers = network.layers(network.normalised(torch.from_numpy(np.ascontiguousarray(frame)[None])))
            return network.columns(layers)[0].permute(1, 2, 0).numpy()

    whole = features(pixels)
    scale = FeatureScale.fit(whole.reshape(-1, whole.shape[-1]))
    off = (tiling.blend([features(each) for each in tiling.cut(pixels)], tile, width) - whole) / scale.deviation
    return float(np.sqrt(np.square(off).mean((0, 2))).max())


def _row(what: str, tiles: int, frame_seconds: float, tiles_seconds: float) -> dict[str, object]:
    return {
        "": what,
        "tiles": tiles,
        "frame ms": round(1000 * frame_seconds),
        "as many images ms": round(1000 * tiles_seconds),
        "ratio": round(frame_seconds / tiles_seconds, 3),
    }


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


async def _awaited(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


if __name__ == "__main__":
    main()
