"""What a replica of Ray Serve says of itself; without Ray."""

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from app import ray_application
from app.ray_application import Replica
from app.settings import Settings
from tests.support.process import ROOT


@dataclass
class FakeService:
    """Its models are loaded after so many questions."""

    questions: int = 0
    stalls: str = ""
    given_up: list[str] = field(default_factory=list)

    def unready(self) -> list[str]:
        self.questions -= 1
        return ["widget is being loaded"] if self.questions >= 0 else []

    @property
    def inference(self) -> Any:
        return SimpleNamespace(watchdog=SimpleNamespace(stalled=lambda now: self.stalls))

    def give_up(self, reason: str) -> None:
        self.given_up.append(reason)

    def dead(self) -> list[str]:
        return self.given_up


def replica(service: FakeService) -> Replica:
    made = Replica()
    made.app = SimpleNamespace(state=SimpleNamespace(service=service))  # type: ignore[assignment]
    return made


@pytest.mark.anyio
async def test_it_is_given_requests_when_its_models_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_application, "_STEP_SECONDS", 0.001)
    service = FakeService(questions=5)
    one = replica(service)
    await one.check_health()
    assert service.questions == -1
    service.questions = 5  # a version that comes later keeps nobody waiting
    await one.check_health()
    assert service.questions == 5


@pytest.mark.anyio
async def test_an_empty_store_does_not_keep_it_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers what is missing."""
    monkeypatch.setattr(ray_application, "_LOADING_SECONDS", 0.05)
    await asyncio.wait_for(replica(FakeService(questions=1_000_000)).check_health(), 10)


@pytest.mark.anyio
async def test_a_stalled_engine_has_another_started_in_its_place() -> None:
    service = FakeService()
    one = replica(service)
    await one.check_health()
    service.stalls = "engine worker 1 has been stalled in a batch for 31 s"
    with pytest.raises(RuntimeError, match="has been stalled in a batch for 31 s"):
        await one.check_health()
    assert service.given_up == [service.stalls]


def test_the_file_is_true_to_the_service() -> None:
    """What the code relies on, and what must be the same at two places."""
    file = yaml.safe_load((ROOT / "deploy" / "ray" / "camspector.yml").read_text())
    (application,) = file["applications"]
    (deployment,) = application["deployments"]
    settings = Settings(**application["args"])
    assert application["import_path"] == f"{ray_application.__name__}:application"
    assert settings.store == Path("/models")
    assert deployment["max_ongoing_requests"] >= settings.queue_size
    assert deployment["health_check_period_s"] == 1


_LOGGING = """
import logging, sys, types
runtime = types.SimpleNamespace(get_assigned_resources=dict)
sys.modules["ray"] = types.SimpleNamespace(get_runtime_context=lambda: runtime)
from app.ray_application import _replica_app
from app.settings import Settings
_replica_app(Settings(store=sys.argv[1], device="cpu", station="cell-7", line="3", log_format="json"))
logging.getLogger("app").warning("hello")
"""
"""A replica's process as far as its log; Ray isn't needed for that."""


def test_its_log_names_station_and_line(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _LOGGING, str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    (line,) = [line for line in map(json.loads, run.stderr.splitlines()) if line["message"] == "hello"]
    assert (line["station"], line["line"]) == ("cell-7", "3")
