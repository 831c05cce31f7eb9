"""Inspections as they come: /v1/events."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from app.errors import QueueFullError
from app.monitoring.events import LISTENERS, WAITING, Events
from app.monitoring.request_record import ImageRecord, RequestRecord
from model.gate import Inspectability, Odd
from model.verdict import Verdict
from tests.support.images import encoded
from tests.support.process import PATIENCE, Server, served


def record(part_id: str = "part%201", images: int = 1) -> RequestRecord:
    verdict = Verdict("anomaly", "reject", 0.97, 3.48)
    return RequestRecord(
        "r", "POST", part_id, model="widget", version=2, images=[ImageRecord(verdict, []) for _ in range(images)]
    )


def heard(events: Events, *records: RequestRecord) -> tuple[list[dict[str, object]], int]:
    """What a listener who is slow gets, and how many it has lost."""

    async def listen() -> tuple[list[dict[str, object]], int]:
        with events.listening() as listener:
            for each in records:
                events.publish(each)
            got = []
            while (event := await listener.get(0.01)) is not None:
                got.append(json.loads(event))
            return got, listener.lost

    return asyncio.run(listen())


def test_an_event_is_an_image() -> None:
    got, lost = heard(Events(), record(images=2))
    assert (len(got), lost) == (2, 0)
    assert got[0].items() >= {"model": "widget", "model_version": 2, "part_id": "part 1", "decision": "reject"}.items()
    assert (got[0]["inspectable"], got[0]["odd"], got[0]["recorded"]) == (True, [], None)


def test_an_event_says_why_an_image_is_not_inspectable() -> None:
    dark = Inspectability((Odd("brightness", 3.0, (20.0, None)),))
    image = ImageRecord(Verdict("good", "review", 0.1, -2.2), [], {}, dark, "ab", "evidence")
    (event,), _ = heard(Events(), RequestRecord("r", "POST", model="widget", version=2, images=[image]))
    assert (event["inspectable"], event["odd"]) == (False, ["brightness"])
    assert (event["inference_id"], event["recorded"]) == ("ab", "evidence")


def test_who_is_slow_loses_the_oldest() -> None:
    got, lost = heard(Events(), *(record(f"part{number}") for number in range(WAITING + 5)))
    assert ([got[0]["part_id"], got[-1]["part_id"]], lost) == (["part5", f"part{WAITING + 4}"], 5)


def test_requests_without_a_model_are_no_events() -> None:
    assert heard(Events(), RequestRecord("r", "GET")) == ([], 0)


def test_there_is_an_end_to_listeners() -> None:
    events = Events()
    with ExitStack() as stack:
        for _ in range(LISTENERS):
            events.check()
            stack.enter_context(events.listening())
        with pytest.raises(QueueFullError, match="32 clients listen already"):
            events.check()
    events.check()


@pytest.fixture
def stoppable(capsule_store: Path) -> Iterator[Server]:
    with served(capsule_store, "--deadline-ms", "60000") as server:
        server.wait_until_ready()
        yield server


def test_a_listener_hears_of_an_image_and_keeps_no_service_from_ending(stoppable: Server) -> None:
    with httpx.stream("GET", f"{stoppable.url}/v1/events", timeout=PATIENCE) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        lines = reply.iter_lines()
        assert next(lines) == ": listening"
        posted = httpx.post(
            f"{stoppable.url}/predict", content=encoded(), headers={"X-Part-ID": "4711"}, timeout=PATIENCE
        ).json()
        assert next(line for line in lines if line.startswith("event")) == "event: inspection"
        event = json.loads(next(lines).removeprefix("data: "))
        assert (event["part_id"], event["decision"]) == ("4711", posted["decision"])
        assert event["probability"] == posted["probability"]
        assert stoppable.stop() == 0
        assert [line for line in lines if line] == []
