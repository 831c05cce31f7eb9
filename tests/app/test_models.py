"""What /v1/models says of a version's probabilities and thresholds."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from app.application import create_app
from app.settings import Settings
from model.verdict import logit
from tests.app.conftest import running, until
from tests.support.artifacts import publish
from tests.support.images import encoded

pytestmark = pytest.mark.anyio

OWN = {"review": 0.3, "label": 0.42, "reject": 0.6}
LINE = {"review": 0.0, "label": 0.0, "reject": 1.0}


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """bolt, at the data's defect rate, a third, and nut, exported for a line's defect rate of 5 %."""
    root = tmp_path_factory.mktemp("lines")
    publish(root, "bolt")
    publish(root, "nut", defect_rate=0.05)
    return root


async def asked(
    store: Path, model: str, configured: Mapping[str, object] = MappingProxyType({})
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of the model's version, and a reply's; `configured`: what stands in each model's serving.json."""
    for name in ("bolt", "nut"):
        (store / name / "serving.json").write_text(json.dumps(configured.get(name, {})))
    app = create_app(Settings(store=store, device="cpu"))
    async with running(app) as client:
        await until(lambda: not app.state.service.unready())
        (version,) = (await client.get(f"/v1/models/{model}")).json()["versions"]
        (listed,) = [each for each in (await client.get("/v1/models")).json()["models"] if each["name"] == model]
        assert listed["versions"] == [version]
        return version, (await client.post(f"/v1/models/{model}/predict", content=encoded())).json()


@pytest.mark.parametrize(
    ("model", "configured", "rate", "source"),
    [
        ("bolt", {}, 1 / 3, "data"),
        ("nut", {}, 0.05, "version"),
        ("bolt", {"bolt": {"defect_rate": 0.02}}, 0.02, "serving.json"),
        ("nut", {"nut": {"defect_rate": 0.02}}, 0.02, "serving.json"),
        ("nut", {"bolt": {"defect_rate": 0.02}}, 0.05, "version"),
    ],
)
async def test_share_of_defects_and_where_it_is_from(
    lines: Path, model: str, configured: dict[str, object], rate: float, source: str
) -> None:
    version, reply = await asked(lines, model, configured)
    assert (version["defect_rate"], version["defect_rate_source"]) == (pytest.approx(rate), source)
    assert version["data_defect_rate"] == pytest.approx(1 / 3)
    assert (version["thresholds"], version["thresholds_source"]) == (OWN, "version")
    _, plain = await asked(lines, "bolt")
    assert reply["log_odds"] - plain["log_odds"] == pytest.approx(logit(rate) - logit(1 / 3), abs=1e-4)


@pytest.mark.parametrize("rates", [{}, {"defect_rate": 0.02}])
async def test_thresholds_in_force_and_where_they_are_from(lines: Path, rates: dict[str, float]) -> None:
    version, reply = await asked(lines, "bolt", {"bolt": {"thresholds": LINE} | rates})
    assert (version["thresholds"], version["thresholds_source"]) == (LINE, "serving.json")
    assert reply["thresholds"] == LINE
    assert (reply["label"], reply["decision"]) == ("anomaly", "review")


async def test_what_the_versions_own_thresholds_were_chosen_for(lines: Path) -> None:
    version, _ = await asked(lines, "nut", {"nut": {"thresholds": 0.9}})
    assert version["operating_point"] == {
        "rule": {"name": "least-cost", "miss_cost": 10.0},
        "summary": "Least expected cost, where a missed defect costs as much as 10 false rejects.",
        "defect_rate": 0.05,
        "prior_invariant": False,
        "fingerprint": None,
    }
