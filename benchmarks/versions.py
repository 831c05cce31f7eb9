"""Two versions that answer differently, told apart by their answers, and newer ones that answer as they do."""

import json
import shutil
from pathlib import Path
from typing import Final

from benchmarks.client import Client

TOLERANCE: Final = 1e-3
"""Of log-odds: a batch's other images change the last digits."""


async def answers(client: Client, image: bytes) -> dict[int, float]:
    """Its log-odds by the version's kind, 0 or 1: odd versions answer one way, even ones the other. Asked alone."""
    found = {}
    for version in (1, 2):
        reply = await client.post(f"/v1/models/widget/versions/{version}/predict?heatmap=none", image)
        assert reply.status == 200, reply
        found[version % 2] = float(json.loads(reply.body)["log_odds"])
    return found


def are_apart(some: float, other: float) -> bool:
    """Whether they can't be taken for each other."""
    return abs(some - other) > 10 * TOLERANCE


def republish(store: Path, number: int) -> None:
    """A copy of the last version but one, by rename."""
    source, incoming = store / "widget" / str(number - 2), store / "widget" / ".incoming"
    shutil.copytree(source, incoming, copy_function=lambda old, new: Path(new).hardlink_to(old))
    incoming.rename(store / "widget" / str(number))
