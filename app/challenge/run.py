"""A run of the store's challenge images through all that a request's image goes through."""

import asyncio
from dataclasses import dataclass

from app.errors import DeadlineError, problem_of
from app.inference.latency_estimator import Kind
from app.inference.pipeline import RenderOptions
from app.models.model_snapshot import LoadedModel
from app.service import Service
from model.challenge import GOOD, ChallengeImage
from model.errors import CamspectorError
from model.verdict import Verdict


@dataclass(frozen=True)
class Outcome:
    """What was expected of one image, and what came."""

    image: str
    kind: str
    verdict: Verdict | None
    """None: it had none."""
    error: str | None
    """The problem's `error`, where there is no verdict."""
    passed: bool

    @property
    def expected(self) -> str:
        return "accept" if self.kind == GOOD else "not accept"


async def run_challenge(service: Service, loaded: LoadedModel, images: list[ChallengeImage]) -> list[Outcome]:
    """Every image, one after the other, each within the deadline of a request that names none."""
    outcomes = []
    for image in images:
        verdict, error = None, None
        try:
            verdict = await _inspect(service, loaded, image)
        except (CamspectorError, OSError) as failure:
            error = problem_of(failure).error
        passed = service.challenges.count(loaded.model, image.kind, verdict.decision if verdict else None)
        outcomes.append(Outcome(image.name, image.kind, verdict, error, passed))
    if all(outcome.passed for outcome in outcomes):
        service.challenges.pass_run(loaded.model)
    return outcomes


async def _inspect(service: Service, loaded: LoadedModel, image: ChallengeImage) -> Verdict:
    """Raises any error of the table in app.errors, or OSError."""
    pipeline, seconds = service.inference.pipeline, service.settings.deadline_ms / 1000
    content = await pipeline.in_executor(image.path.read_bytes)
    kind, until = Kind.of(loaded.key, len(content)), asyncio.get_running_loop().time() + seconds
    try:
        async with asyncio.timeout_at(until):
            with service.admission.slot(kind, until, seconds) as admitted:
                decoded = await pipeline.decode(content, loaded, until)
                options = RenderOptions("gray")
                (result,) = await pipeline.inspect([decoded], loaded, options, admitted, lambda results: results)
                return result.verdict
    except TimeoutError:
        raise DeadlineError("there was no verdict within the deadline") from None
