"""How many rows a second one command of `score --ray` hands out, takes back and writes, whatever the workers need.

    python -m benchmarks.ray_rows [ROWS]

Two workers of a local cluster answer at once, with a row of the usual size.
"""

import asyncio
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import ray

from app.score.journal import Journal, Run
from app.score.ray_cluster import RayCluster
from app.score.row import Row
from app.score.run import rows
from tests.support.process import ROOT

_REGION: Final = {"box": {"left": 1, "top": 2, "width": 3, "height": 4}, "area_percent": 1.5, "score": 0.9}
REPLY: Final[dict[str, Any]] = {
    "label": "anomaly", "probability": 0.3, "decision": "reject", "inspectable": True, "odd": [], "typicality": 0.5,
    "log_odds": 3.5, "thresholds": {"review": 0.3, "label": 0.42, "reject": 0.6}, "model": "widget", "model_version": 3,
    "image": {"width": 512, "height": 512}, "regions": [_REGION] * 4,
}  # fmt: skip
WORKERS: Final = 2
AT_ONCE: Final = 10


class Worker:
    """As `app.score.ray_worker.RayWorker`, without work."""

    async def ready(self) -> Run:
        return Run("widget", 3, "local")

    async def row(self, file: str, run: Run) -> Row:
        return Row(file, REPLY, timing_ms=dict.fromkeys(("decode", "queue", "predict", "render"), 1.0))


async def measure(count: int, output: Path) -> tuple[float, float]:
    """Rows a second, and milliseconds of this process's CPU a row."""
    cluster = RayCluster(False, lambda _: None)
    for _ in range(WORKERS):
        cluster.add(ray.remote(Worker).remote(), "here", AT_ONCE)
    run = await cluster.run
    with Journal(output, resume=False) as journal, ThreadPoolExecutor(2) as executor:
        journal.begin(run)
        began, cpu = time.perf_counter(), time.process_time()
        async for row in rows(map(str, range(count)), cluster.row, WORKERS * AT_ONCE, executor):
            journal.append(row)
        return count / (time.perf_counter() - began), 1000 * (time.process_time() - cpu) / count


def main() -> None:
    count = int(sys.argv[1]) if sys.argv[1:] else 10_000
    ray.init(num_cpus=WORKERS, include_dashboard=False, runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}})
    with tempfile.TemporaryDirectory() as folder:
        rate, milliseconds = asyncio.run(measure(count, Path(folder) / "v.jsonl"))
    ray.shutdown()
    print(f"{rate:,.0f} rows a second, {milliseconds:.2f} ms of the command's CPU a row")


if __name__ == "__main__":
    main()
