"""A version that the release before wrote serves as it did there (docs/artifact.md, Compatibility)."""

import base64
import io
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from PIL import Image

from app.application import create_app
from app.settings import Settings
from model.artifact import read_artifact
from model.detector import VariantChoice, load_detector
from model.engines.engine import EngineChoice
from model.errors import ManifestError
from model.manifest import decode
from model.serving import Serving
from tests.app.conftest import running, until
from tests.support.artifacts import pattern
from tests.training.conftest import quiet
from training.data.dataset import load_dataset
from training.evaluation.evaluate import evaluate
from training.recalibrate import choose_method

RELEASE: Final = Path(__file__).parents[1] / "data" / "release-0.1.0"
REPLIES: Final[dict[VariantChoice, dict[str, dict[str, Any]]]] = json.loads((RELEASE / "replies.json").read_text())
"""Of that release's service, by variant and image."""
VERSION: Final = RELEASE / "store" / "carpet" / "1"


def heatmap(reply: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(reply.pop("heatmap")))), np.int16)


@pytest.mark.anyio
@pytest.mark.parametrize("variant", REPLIES)
async def test_it_serves_as_it_did(variant: VariantChoice) -> None:
    app = create_app(Settings(store=RELEASE / "store", device="cpu", variant=variant, deadline_ms=60_000))
    async with running(app) as client:
        await until(lambda: bool(app.state.service.model_manager.snapshot.served()))
        for name, then in REPLIES[variant].items():
            now = (await client.post("/predict", content=(RELEASE / "images" / name).read_bytes())).json()
            then = dict(then)
            assert np.abs(heatmap(now) - heatmap(then)).max() <= 1
            assert now["log_odds"] == pytest.approx(then.pop("log_odds"), abs=1e-4)
            assert now["probability"] == pytest.approx(then.pop("probability"), abs=1e-4)
            for region in now["regions"] + then["regions"]:
                region["score"] = round(region["score"], 3)
            assert now.items() >= then.items()
            assert (now["inspectable"], now["odd"], now["typicality"]) == (True, [], 1.0)
        (version,) = (await client.get("/v1/models/carpet")).json()["versions"]
        assert (version["gate"], version["checks"], version["frame"]) == (None, {}, None)


@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
def test_either_engine_reproduces_its_golden_outputs(engine: EngineChoice) -> None:
    detector = load_detector(VERSION, "cpu", engine=engine, variant="float32")
    assert (detector.engine.name, detector.manifest.schema, detector.skipped_variants) == (engine, 4, {})


def test_a_line_may_give_it_limits_of_what_is_measured() -> None:
    """It has none of its own; where an image looks from the others isn't known."""
    detector = load_detector(VERSION, "cpu")
    strict = detector.under(Serving(checks={"brightness": (250.0, None), "appearance": (None, 0.0)}))
    image = strict.read_image((RELEASE / "images" / "good.png").read_bytes())
    found = strict.inspectability(image.pixels, strict.run(image.pixels).features, (image.width, image.height))
    assert [odd.check for odd in found.odd] == ["brightness"]


def test_it_is_evaluated_but_not_recalibrated(tmp_path: Path) -> None:
    """A gate can't be fitted: its network gives no features."""
    for number in range(12):
        kind = tmp_path / ("good" if number % 2 else "dirt")
        kind.mkdir(exist_ok=True)
        Image.fromarray(pattern(number)).save(kind / f"{number}.png")
    dataset = load_dataset(tmp_path, group=None, sample=None, seed=0, reporter=quiet())
    assert len(evaluate(VERSION, dataset, "cpu", quiet()).predictions) == 12
    with pytest.raises(ManifestError, match=r"is of release 0\.1, and its network can't carry a gate: train"):
        choose_method(read_artifact(VERSION).manifest, dataset, None, None)


@pytest.mark.parametrize("preprocessing", [None, [], {}, {"input_size": "large"}])
def test_a_manifest_that_is_not_sound_is_named(preprocessing: object) -> None:
    manifest = json.loads((VERSION / "manifest.json").read_bytes())
    with pytest.raises(ManifestError, match=r"manifest\.json can't be read: .*preprocessing"):
        decode(json.dumps(manifest | {"preprocessing": preprocessing}).encode())
