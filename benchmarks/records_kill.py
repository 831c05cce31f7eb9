"""Whether a reply with 200 ever lacks its record: the service is killed (SIGKILL) under load, again and again.

    python -m benchmarks.records_kill --kills 10 --replies 2000

Clients count what they were answered. After each kill the database is opened, and every inference id is looked for.
"""

import argparse
import asyncio
import json
import random
import signal
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.client import Client
from benchmarks.machine import report
from tests.support.artifacts import publish
from tests.support.images import encoded
from tests.support.process import Server, served


async def ask(server: Server, clients: int, replies: int, body: bytes) -> list[str]:
    """Inference ids of what was answered until the service was killed, somewhat after `replies`."""
    answered: list[str] = []

    async def one() -> None:
        client = Client(server.port)
        while (reply := await client.post("/predict?heatmap=none&regions=false", body, X_Deadline_Ms=60000)).status:
            if reply.status == 200:
                answered.append(json.loads(reply.body)["inference_id"])
        client.close()

    async def kill() -> None:
        while len(answered) < replies:
            await asyncio.sleep(0.01)
        await asyncio.sleep(random.uniform(0, 0.5))
        server.process.send_signal(signal.SIGKILL)

    await asyncio.gather(kill(), *(one() for _ in range(clients)))
    return answered


def recorded(folder: Path) -> set[str]:
    with closing(sqlite3.connect(folder / "records.sqlite")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return {inference_id for (inference_id,) in database.execute("SELECT inference_id FROM inspections")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--replies", type=int, default=2000, help="before each kill")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--sync", choices=["normal", "full"], default="normal")
    parser.add_argument("--json", type=Path, help="folder to write the table to, too")
    options = parser.parse_args()
    body = encoded(size=64)
    rows: list[dict[str, object]] = []
    total, lost = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        publish(Path(folder) / "store", onnx=True, size=32)
        records = Path(folder) / "records"
        flags = ["--records", str(records), "--records-sync", options.sync, "--records-images", "every:10"]
        for number in range(options.kills):
            began = time.monotonic()
            with served(Path(folder) / "store", *flags) as server:
                server.wait_until_ready()
                answered = asyncio.run(ask(server, options.clients, options.replies, body))
            there = recorded(records)
            missing = len(set(answered) - there)
            total, lost = total + len(answered), lost + missing
            row: dict[str, object] = {
                "kill": number + 1,
                "replies with 200": len(answered),
                "without a record": missing,
                "records": len(there),
                "seconds": round(time.monotonic() - began),
            }
            print(row, flush=True)
            rows.append(row)
    rows.append({"kill": "all", "replies with 200": total, "without a record": lost, "records": "", "seconds": ""})
    report("Killed under load", rows, options.json and options.json / "records_kill.json")


if __name__ == "__main__":
    main()
