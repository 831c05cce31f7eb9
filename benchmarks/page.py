"""The inspection page in chromium: how fast it is there, and what the live view costs the service and the browser.

    python -m benchmarks.page --minutes 10 --json run/bench

Parts come at an even rate, half of the time before and half after with the page closed, and in between for as long with
it open on Live. The browser is niced, as it runs on another machine on a line; on this one it shares the processor.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from benchmarks.client import Client
from benchmarks.load import percentile
from benchmarks.machine import report
from tests.support.artifacts import publish
from tests.support.browser import Browser, browser
from tests.support.images import encoded
from tests.support.process import Server, served

LOADS = 10
IMAGES = 16
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
BYTES = (
    "performance.getEntriesByType('navigation')[0].decodedBodySize + "
    "performance.getEntriesByType('resource').filter(({ name }) => name.includes('/page/'))"
    ".reduce((sum, each) => sum + each.decodedBodySize, 0)"
)


def first_paint(tab: Browser, url: str) -> dict[str, object]:
    """Of a browser that has nothing of it in its cache."""
    times = []
    tab.send("Network.setCacheDisabled", cacheDisabled=True)
    for _ in range(LOADS):
        tab.open("about:blank")
        tab.open(url)
        times.append(float(tab.until(PAINT)))
    tab.until("document.querySelector('#model').value && document.querySelector('main').children.length")
    size = tab.value(BYTES)
    tab.send("Network.setCacheDisabled", cacheDisabled=False)
    return {
        "page": "first paint",
        "p50 ms": f"{percentile(times, 50):.0f}",
        "p99 ms": f"{percentile(times, 99):.0f}",
        "failed": 0,
        "browser's heap MB": f"{size / 1000:.1f} kB are loaded",
    }


async def parts(server: Server, label: str, rate: float, seconds: float, tab: Browser | None) -> dict[str, object]:
    """A row of the table; a line each minute."""
    client, images = Client(server.port), [encoded(seed=seed, size=256) for seed in range(IMAGES)]
    times: list[float] = []
    heap: list[float] = []
    failed = 0
    began = time.perf_counter()

    async def one(number: int) -> None:
        nonlocal failed
        await asyncio.sleep(began + number / rate - time.perf_counter())
        part = f"{label}-{number}"
        reply = await client.post("/predict", images[number % IMAGES], X_Deadline_Ms=60000, X_Part_ID=part)
        failed += reply.status != 200
        times.append(1000 * (time.perf_counter() - began - number / rate))

    async def look() -> None:
        while tab:
            heap.append(await asyncio.to_thread(megabytes, tab))
            print(f"{label}: {len(times)} parts, heap {heap[-1]:.2f} MB", flush=True)
            await asyncio.sleep(min(60.0, seconds / 5))

    looking = asyncio.create_task(look())
    await asyncio.gather(*(one(number) for number in range(int(rate * seconds))))
    looking.cancel()
    client.close()
    return {
        "page": label,
        "p50 ms": f"{percentile(times, 50):.1f}",
        "p99 ms": f"{percentile(times, 99):.1f}",
        "failed": failed,
        "browser's heap MB": " ".join(f"{each:.2f}" for each in heap),
    }


def megabytes(tab: Browser) -> float:
    """Of JavaScript, once what nobody needs is gone."""
    tab.send("HeapProfiler.collectGarbage")
    metrics = {each["name"]: each["value"] for each in tab.send("Performance.getMetrics")["metrics"]}
    return float(metrics["JSHeapUsedSize"]) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="with the page open, and as long without")
    parser.add_argument("--rate", type=float, default=500.0, help="parts a minute")
    parser.add_argument("--store", type=Path, help="or a version's folder (default: a random network of 64 pixels)")
    parser.add_argument("--json", type=Path, help="folder to write the table to, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = options.store or publish(Path(folder) / "store", "widget", onnx=True).parent
        flags = ["--records", f"{folder}/records", "--records-images", "all"]
        with served(store, *flags) as server, browser(Path(folder) / "profile", nice=19) as tab:
            server.wait_until_ready()
            tab.send("Performance.enable")
            rows = [first_paint(tab, f"{server.url}/")]
            tab.open("about:blank")
            for label, minutes in (("closed", 0.5), ("open", 1.0), ("closed again", 0.5)):
                if label == "open":
                    tab.open(f"{server.url}/#live")
                    tab.until("document.querySelector('.live').innerText.includes('Connected.')")
                else:
                    tab.open("about:blank")
                seconds = 60 * minutes * options.minutes
                shown = tab if label == "open" else None
                rows.append(asyncio.run(parts(server, label.replace(" ", "-"), options.rate / 60, seconds, shown)))
            assert tab.problems == []
    report("The page", rows, options.json and options.json / "page.json")


if __name__ == "__main__":
    main()
