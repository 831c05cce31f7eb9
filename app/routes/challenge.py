"""Challenge runs: whether a model still sees what it must."""

import asyncio

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from app.challenge.run import Outcome, run_challenge
from app.documentation import problems
from app.errors import AdminNeedsKeysError, DeadlineError, KeyNotAllowedError, NotReadyError
from app.monitoring.request_record import current
from app.routes.admin import WAIT_SECONDS, only_admin
from app.routes.dependencies import TheService
from model.challenge import challenge_images
from model.errors import ChallengeError, StoreError, UnknownModelError
from model.verdict import Decision, Label

router = APIRouter(tags=["challenge"], dependencies=[Depends(only_admin)])


class ChallengeOutcome(BaseModel):
    """One challenge image: what was expected, and what came."""

    image: str = Field(description="KIND/FILE in the model's challenge folder.")
    kind: str
    expected: str = Field(description="accept for good parts; for defective ones anything else: not accept.")
    decision: Decision | None = Field(description="null: there was no verdict.")
    label: Label | None
    probability: float | None
    error: str | None = Field(description="Why there was no verdict: as a problem's `error`.")
    passed: bool

    @staticmethod
    def of(outcome: Outcome) -> "ChallengeOutcome":
        verdict = outcome.verdict
        return ChallengeOutcome(
            image=outcome.image,
            kind=outcome.kind,
            expected=outcome.expected,
            decision=verdict.decision if verdict else None,
            label=verdict.label if verdict else None,
            probability=verdict.probability if verdict else None,
            error=outcome.error,
            passed=outcome.passed,
        )


class ChallengeRun(BaseModel):
    """A run of all challenge images of a model."""

    model: str
    model_version: int
    passed: bool = Field(description="Whether every image was decided as expected.")
    images: list[ChallengeOutcome]


@router.post(
    "/v1/models/{model}/challenge",
    responses=problems(
        KeyNotAllowedError,
        AdminNeedsKeysError,
        UnknownModelError,
        ChallengeError,
        StoreError,
        NotReadyError,
        DeadlineError,
    ),
)
async def challenge(model: str, service: TheService) -> ChallengeRun:
    """Run the model's challenge images through the version that serves, as requests' images are, one after the other.

    They count in the challenge metrics alone. Good parts must be accepted, defective ones must not.
    """
    loaded = await service.model_manager.obtain(model, None, asyncio.get_running_loop().time() + WAIT_SECONDS)
    if record := current.get():
        record.is_challenge = True
        record.model, record.version = loaded.key
    folder = await service.inference.pipeline.in_executor(lambda: service.model_manager.challenge_folder(model))
    images = await service.inference.pipeline.in_executor(lambda: challenge_images(folder))
    outcomes = await run_challenge(service, loaded, images)
    return ChallengeRun(
        model=model,
        model_version=loaded.version,
        passed=all(outcome.passed for outcome in outcomes),
        images=[ChallengeOutcome.of(outcome) for outcome in outcomes],
    )
