"""Queries of deploy/: every metric and label that they name is one that the service has, and is its own."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.application import create_app
from app.settings import Settings
from tests.app.conftest import running
from tests.app.test_challenge import DEFECTIVE, DOUBTFUL, GOOD
from tests.app.test_drift import inspect, watched
from tests.support.images import encoded
from tests.support.queries import DASHBOARDS, Query, of_dashboard, of_rules, of_scaling

PROMTOOL = shutil.which("promtool")
QUERIES = [query for path in DASHBOARDS for query in of_dashboard(path)] + of_scaling()
ALL = QUERIES + of_rules()
SCRAPE = {"job": "camspector", "instance": "a"}
"""Labels that Prometheus adds."""

Samples = dict[str, list[dict[str, str]]]
"""Labels of each sample, by its name."""


@pytest.fixture(scope="module")
async def samples(anyio_backend: str, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Samples:
    """What /metrics says of a service that has seen a bit of everything."""
    async with watched(store, tmp_path_factory.mktemp("service")) as station:
        for number in range(4):  # dark ones: the last is an alarm of drift
            await inspect(station, str(number))
        for brightness in (DOUBTFUL, DEFECTIVE):
            await station.client.post("/v1/models/widget/predict", content=encoded(brightness=brightness))
        station.write(good_a=GOOD, crack_a=DEFECTIVE)
        await station.run()
        station.write(good_b=DEFECTIVE)
        await station.run()
        metrics = station.service.metrics
        metrics.odd.labels("widget", "sharpness").inc()
        metrics.requests.labels("POST", "/v1/models/{model}/predict", "503").inc()
        for reason in ("crash", "deadline"):
            metrics.codecs_killed.labels(reason).inc()
        text = await station.metrics()
    found: Samples = {"up": [SCRAPE]}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels | SCRAPE)
    return found


def test_there_are_three_dashboards() -> None:
    assert [path.stem for path in DASHBOARDS] == ["fleet", "line", "machine"]
    assert len(QUERIES) > 40


@pytest.mark.parametrize("query", ALL, ids=lambda query: query.where)
def test_every_selector_is_the_services_own(query: Query) -> None:
    assert query.without_selector() == []
    assert query.selectors() != []
    for selector in query.selectors():
        assert ("job", "=", "camspector") in selector.matchers, selector
        assert re.fullmatch(r"camspector_\w+|process_\w+|up", selector.metric), selector


@pytest.mark.anyio
@pytest.mark.parametrize("query", ALL, ids=lambda query: query.where)
async def test_what_is_selected_is_there(query: Query, samples: Samples) -> None:
    """Every label by its name, and some series by all the matchers; of a choice of values, each."""
    labels = set()
    for selector in query.selectors():
        assert selector.metric in samples, selector
        series = samples[selector.metric]
        labels |= {label for each in series for label in each}
        assert {label for label, _, _ in selector.matchers} <= labels, selector
        assert any(map(selector.matches, series)), selector
        for label, operator, value in selector.matchers:
            for one in value.split("|") if operator == "=~" and re.fullmatch(r"[\w|-]+", value) else []:
                assert one in {each[label] for each in series}, (selector, one)
    assert query.grouping() <= labels


@pytest.mark.anyio
async def test_versions_by_station(store: Path, tmp_path: Path) -> None:
    """The fleet's table joins two metrics by a label that Prometheus adds; both have one series an instance."""
    (query,) = [query for query in QUERIES if query.where == "fleet: Versions by station and model, A"]
    assert query.grouping() == {"instance", "station", "line"}
    _, info = query.selectors()
    app = create_app(Settings(store=store, device="cpu", station="cell-7", line="3"))
    async with running(app) as client:
        text = (await client.get("/metrics")).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    (sample,) = families[info.metric].samples
    assert sample.labels.items() >= {"station": "cell-7", "line": "3"}.items()
    assert sample.value == 1


def test_prefix_of_all_metrics(samples: Samples) -> None:
    """So that no query needs to name another's."""
    assert {name for name in samples if not re.match("camspector_|process_", name)} == {"up"}


@pytest.mark.anyio
@pytest.mark.skipif(PROMTOOL is None, reason="needs promtool (Debian package prometheus)")
async def test_every_query_finds_something(samples: Samples, tmp_path: Path) -> None:
    """In the real promtool: two instances after an hour at work, all of whose values grow."""
    series = [
        f"{name}{json.dumps(each | {'instance': instance})}"
        for name in samples
        for each in samples[name]
        for instance in "ab"
    ]
    test = {
        "interval": "1m",
        "input_series": [{"series": _promql(each), "values": "1+1x60"} for each in series],
        "promql_expr_test": [{"expr": query.text, "eval_time": "60m"} for query in QUERIES],  # and nothing expected
    }
    (tmp_path / "test.json").write_text(json.dumps({"rule_files": [], "tests": [test]}))
    assert PROMTOOL
    run = subprocess.run(
        [PROMTOOL, "test", "rules", str(tmp_path / "test.json")], capture_output=True, text=True, check=False
    )
    said = run.stdout + run.stderr
    found = set(re.findall(r'expr: ("(?:[^"\\]|\\.)*"), time: 1h,?\s+exp:\s*nil\s+got:', said))
    assert {query.where for query in QUERIES if json.dumps(query.text, ensure_ascii=False) not in found} == set(), said


def _promql(series: str) -> str:
    """`name{"a": "b"}` as `name{a="b"}`."""
    return re.sub(r'"(\w+)": ("(?:[^"\\]|\\.)*")', r"\1=\2", series)


def test_dashboards_are_provisioned_as_they_are_named() -> None:
    boards = [json.loads(path.read_text()) for path in DASHBOARDS]
    assert len({board["uid"] for board in boards}) == len(boards)
    for board in boards:
        panels = board["panels"]
        assert sorted(panel["id"] for panel in panels) == list(range(1, len(panels) + 1))
        assert {panel["datasource"]["uid"] for panel in panels} == {"camspector"}
        assert max(panel["gridPos"]["x"] + panel["gridPos"]["w"] for panel in panels) <= 24
