"""A service that runs elsewhere, by its HTTP API."""

import asyncio
import os
import random
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from pydantic import ValidationError

from app.inference.pipeline import Heatmap
from app.part_id import HEADER, LONGEST
from app.schemas import ModelInfo, Prediction
from app.score.errors import NoVerdictError, StoppedError, UsageError
from app.score.files import shown
from app.settings import LONGEST_DEADLINE_MS

if TYPE_CHECKING:
    import httpx

KEY_VARIABLE: Final = "INSPECTION_API_KEY"
PATIENCE_SECONDS: Final = 300.0
"""For one image: so long is a service that is busy, or gone for a moment, asked again."""
_LONGEST_WAIT: Final = 30.0
_SLOW_SECONDS: Final = LONGEST_DEADLINE_MS / 1000 + 10
_IDLE_SECONDS: Final = 30.0
"""Of a connection; the service keeps it for longer."""
_AGAIN: Final = {408, 429, 502, 503, 504}
"""Worth another try, as inspecting an image twice does no harm."""
_OF_ONE_IMAGE: Final = {
    "missing-field", "malformed-body", "empty-image", "body-too-large", "image-too-large", "unsupported-format",
    "undecodable-image", "multiple-frames", "image-too-costly", "brightness-beyond-scale", "frame-size",
    "deadline-passed", "internal-error",
}  # fmt: skip
"""Another image may well have a verdict. Whatever else is refused, is refused for all."""
_GATEWAYS: Final = {413: "body-too-large"}
"""Names of what a gateway refuses, which says none."""


@dataclass(frozen=True)
class RemoteInspector:
    """One version of a model, at one service."""

    client: "httpx.AsyncClient"
    model: str
    version: int
    max_bytes: None = None

    async def followed(self) -> "RemoteInspector":
        """See `Inspector.followed`."""
        return replace(self, version=await _serving(self.client, self.model))

    async def inspect(self, image: bytes, name: str, heatmap: Heatmap) -> Prediction:
        """See `Inspector.inspect`."""
        give_up, attempt = time.monotonic() + PATIENCE_SECONDS, 0
        while True:
            status, problem, wait = await self._post(image, name, heatmap)
            if isinstance(problem, Prediction):
                return problem
            error = str(problem.get("error", _GATEWAYS.get(status, f"status-{status}")))
            detail, late = str(problem.get("detail", "")), time.monotonic() > give_up
            if error in _OF_ONE_IMAGE or (late and error == "engine-failed"):
                raise NoVerdictError(error, detail)
            if status not in _AGAIN or late:
                raise StoppedError(f"the service answers {status}: {error}: {detail}".rstrip(": "))
            attempt += 1
            seconds = min(_LONGEST_WAIT, 2.0**attempt - 1 if wait is None else wait)
            await asyncio.sleep(seconds * random.uniform(1, 1.5))  # so that those refused together come apart

    async def _post(
        self, image: bytes, name: str, heatmap: Heatmap
    ) -> tuple[int, Prediction | dict[str, Any], float | None]:
        """Status (503 without an answer), the reply or a problem's members, and Retry-After's seconds."""
        import httpx

        url = f"/v1/models/{self.model}/versions/{self.version}/predict"
        try:
            reply = await self.client.post(url, params={"heatmap": heatmap}, content=image, headers=_part_id(name))
        except httpx.TransportError as error:
            return 503, {"error": "no-answer", "detail": str(error) or type(error).__name__}, None
        try:
            if reply.status_code == 200:
                return 200, Prediction.model_validate_json(reply.content), None
            body = reply.json()
        except ValueError:  # not the service's: a gateway's page, for example
            body = None
        return reply.status_code, body if isinstance(body, dict) else {}, _seconds(reply.headers.get("Retry-After"))


@asynccontextmanager
async def remote_inspector(url: str, model: str, version: int | None, jobs: int) -> AsyncIterator[RemoteInspector]:
    """Of the version that serves now, or the one that is named. Raises UsageError or StoppedError."""
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not re.fullmatch("[!-~]*", key):
        raise UsageError(f"{KEY_VARIABLE} is no key: it has spaces, or characters that aren't ASCII")
    try:
        import httpx
    except ImportError as error:
        raise UsageError(f"--server needs the packages of camspector[client]: {error}") from None
    if not re.match("https?://[^/]", url):
        raise UsageError(f"--server {url} is no address of a service, as http://localhost:8000")
    headers = {"Accept": "application/json", "X-Deadline-Ms": str(LONGEST_DEADLINE_MS)}
    headers |= {"Authorization": f"Bearer {key}"} if key else {}
    limits = httpx.Limits(max_connections=jobs, max_keepalive_connections=jobs, keepalive_expiry=_IDLE_SECONDS)
    async with httpx.AsyncClient(
        base_url=url.rstrip("/"), headers=headers, timeout=_SLOW_SECONDS, limits=limits, trust_env=False
    ) as client:
        yield RemoteInspector(client, model, version or await _serving(client, model))


async def _serving(client: "httpx.AsyncClient", model: str) -> int:
    """The version that serves now."""
    import httpx

    try:
        reply = await client.get(f"/v1/models/{model}")
        if reply.status_code != 200:
            raise UsageError(f"{client.base_url} answers {reply.status_code}: {reply.text[:300]}")
        serving = ModelInfo.model_validate_json(reply.content).serving
    except httpx.TransportError as error:
        raise StoppedError(f"{client.base_url} doesn't answer: {error or type(error).__name__}") from None
    except ValidationError:
        raise UsageError(f"{client.base_url} is no service: its answer isn't one on a model") from None
    if serving is None:
        raise StoppedError(f"no version of model {model!r} serves at {client.base_url}")
    return serving


def _part_id(name: str) -> dict[str, str]:
    """The file's name without its suffix, as the part's id, where it can be one."""
    text = os.path.splitext(shown(name))[0]
    return {HEADER: quote(text, safe="/")} if len(text) <= LONGEST and text.isprintable() else {}


def _seconds(retry_after: str | None) -> float | None:
    """Of a Retry-After header; a date, which HTTP allows too, is not understood."""
    return float(retry_after) if retry_after and retry_after.isdecimal() else None
