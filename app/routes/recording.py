"""Between a request for a verdict and the records: what it is recorded as, and whether it was inspected before."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Header, Response

from app.errors import IdempotencyKeyError
from app.models.model_snapshot import LoadedModel
from app.monitoring.request_record import Retained, current
from app.records.inspection import Basis, Inspection, Origin, sha256_hex
from app.routes.request_scope import RequestScope

if TYPE_CHECKING:
    from app.records.records import Records

RECORDED: Final = "X-Camspector-Recorded"
INFERENCE_ID: Final = "X-Camspector-Inference-ID"
REPLAYED: Final = "Idempotent-Replayed"
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="X-Idempotency-Key",
        pattern="^[!-~]{1,128}$",
        description="Sent again within a day, the recorded reply is given again. Needs --records.",
    ),
]


@dataclass(frozen=True)
class Recording:
    """One request's part of the records, if the service keeps any."""

    records: "Records | None"
    origin: Origin
    basis: Basis

    @staticmethod
    def of(scope: RequestScope, loaded: LoadedModel, idempotency_key: str | None = None) -> "Recording":
        record = current.get()
        assert record
        settings = scope.service.settings
        origin = Origin.of(record, settings.station, settings.line, idempotency_key)
        return Recording(scope.service.records, origin, Basis.of(loaded))

    @property
    def recalls(self) -> bool:
        """Whether an earlier request may be the same as this one."""
        return self.records is not None and self._name("") is not None

    def sha256(self, image: bytes) -> str | None:
        """Of an encoded image; None: it isn't recorded, or was sent as pixels."""
        return sha256_hex(image) if self.records and image else None

    @asynccontextmanager
    async def recalled(self, sha256: str | None, seconds: float) -> AsyncIterator[Inspection | None]:
        """The recorded inspection that answers this request too; None: there is none, and until the end of the block
        the same request waits.

        Raises IdempotencyKeyError.
        """
        name = self._name(sha256)
        if self.records is None or sha256 is None or name is None:
            yield None
            return
        async with self.records.one_at_a_time(name):
            found = await self.records.recall(self.origin, self.basis, sha256, seconds)
            if found:
                self._check(found, sha256)
            yield found

    async def keep(
        self, response: Response, inspections: Sequence[Inspection], images: Sequence[bytes], seconds: float
    ) -> Response:
        """The response, once the inspections are recorded, or can't be; its headers say which."""
        ids = [inspection.inference_id for inspection in inspections]
        response.headers[INFERENCE_ID] = ",".join(ids)
        retained: Sequence[Retained | None] = [None] * len(ids)
        if self.records:
            response.headers[RECORDED], retained = await self.records.keep(inspections, images, seconds)
        if record := current.get():
            record.images = [
                replace(image, inference_id=inference_id, recorded=recorded)
                for image, inference_id, recorded in zip(record.images, ids, retained, strict=True)
            ]
        return response

    def replay(self, response: Response, recalled: Inspection) -> Response:
        """The response, marked as that to an earlier request."""
        response.headers[INFERENCE_ID] = recalled.inference_id
        response.headers[RECORDED] = response.headers[REPLAYED] = "true"
        return response

    def _name(self, sha256: str | None) -> object:
        """By which the same requests are known; None: none is the same as this one."""
        if self.origin.challenge:  # it shows whether the station sees now
            return None
        if self.origin.idempotency_key:
            return self.origin.key, self.origin.idempotency_key
        if self.origin.part_id:
            return self.origin.part_id, sha256, self.basis.model, self.basis.version, self.basis.serving_sha256
        return None

    def _check(self, found: Inspection, sha256: str) -> None:
        if found.image.sha256 != sha256 or found.basis.model != self.basis.model:
            raise IdempotencyKeyError(
                f"this X-Idempotency-Key was sent before, with another image or for another model (inspection "
                f"{found.inference_id}): use a new one for every part"
            )
