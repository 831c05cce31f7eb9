"""The pipeline without HTTP: an engine that fails, and a version that comes."""

from pathlib import Path

import numpy as np
import pytest

from app.score.errors import NoVerdictError, StoppedError
from app.score.local import LocalInspector, choose, local_inspector
from app.settings import Settings
from model.errors import CamspectorError, EngineError
from model.serving import Serving
from model.store import Store
from tests.support.artifacts import publish
from tests.support.images import encoded

pytestmark = pytest.mark.anyio


def opened(store: Path) -> Settings:
    return Settings(store=store, device="cpu")


async def test_it_follows_what_serves(tmp_path: Path) -> None:
    publish(tmp_path)
    settings = opened(tmp_path)
    async with local_inspector(settings, choose(settings, None, None)) as first:
        assert await first.followed() is first
        publish(tmp_path, slope=5.0)
        second = await first.followed()
        assert (first.version, second.version) == (1, 2)
        Store(tmp_path).set_serving("widget", Serving(version=1, thresholds=0.5))
        third = await second.followed()
        thresholds = (await third.inspect(encoded(), "a.png", "none")).thresholds
        assert (third.version, thresholds.label) == (1, 0.5)
        (publish(tmp_path) / "weights.safetensors").unlink()
        Store(tmp_path).set_serving("widget", Serving())
        with pytest.raises(CamspectorError, match=r"weights\.safetensors is missing"):
            await third.followed()
        assert (await third.inspect(encoded(), "a.png", "none")).model_version == 1


async def test_an_engine_that_fails_stops_the_run_unless_it_is_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that say so would be in the table for good."""
    publish(tmp_path)
    settings = opened(tmp_path)
    async with local_inspector(settings, choose(settings, None, None)) as inspector:
        run, engine = inspector.loaded.detector.engine.run, type(inspector.loaded.detector.engine)
        fails_always = False

        def failing(_: object, pixels: np.ndarray, *, exclusive: bool = True) -> object:
            if fails_always or pixels.any():
                raise EngineError("out of order")
            return run(pixels, exclusive=exclusive)

        monkeypatch.setattr(engine, "run", failing)
        assert await error_of(inspector) == "engine-failed"
        fails_always = True
        with pytest.raises(StoppedError, match="the engine failed: out of order"):
            await inspector.inspect(encoded(), "a.png", "none")


async def error_of(inspector: LocalInspector) -> str:
    with pytest.raises(NoVerdictError) as raised:
        await inspector.inspect(encoded(), "a.png", "none")
    return raised.value.error
