"""What a replica of Ray Serve says of itself; without Ray."""

import asyncio
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
    def watchdog(self) -> Any:
        return SimpleNamespace(stalled=lambda now: self.stalls)

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
