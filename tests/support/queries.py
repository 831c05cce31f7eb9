"""Queries in what deploy/ gives to Prometheus and Grafana, and what they select."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

ROOT: Final = Path(__file__).parents[2]
DASHBOARDS: Final = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
ALERTS: Final = ROOT / "deploy" / "alerts.yml"
KUBERNETES: Final = ROOT / "deploy" / "kubernetes"

_METRIC: Final = r"(?:camspector|process)_\w+|\bup\b"
_SELECTOR: Final = re.compile(r"([A-Za-z_:]\w*)\{([^}]*)\}")
_MATCHER: Final = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
_GROUPING: Final = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_GRAFANA: Final = {"$__rate_interval": "5m", "$model": ".*", "$instance": ".*"}
"""Variables, as they are where everything is chosen."""


@dataclass(frozen=True)
class Selector:
    """Of one metric: series whose labels match."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]
    """Label, operator, value."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(_matches(labels.get(label, ""), operator, value) for label, operator, value in self.matchers)


@dataclass(frozen=True)
class Query:
    """In PromQL."""

    where: str
    text: str

    def selectors(self) -> list[Selector]:
        return [Selector(metric, tuple(_MATCHER.findall(inside))) for metric, inside in _SELECTOR.findall(self.text)]

    def without_selector(self) -> list[str]:
        """Metrics that are named bare: they would be everybody's."""
        return re.findall(_METRIC, re.sub(r'"[^"]*"', "", _SELECTOR.sub("", self.text)))

    def grouping(self) -> set[str]:
        """Labels that series are put together by."""
        return {label for inside in _GROUPING.findall(self.text) for label in re.findall(r"\w+", inside)}


def of_dashboard(path: Path) -> list[Query]:
    board = json.loads(path.read_text())
    found = [
        Query(f"{path.stem}: {panel['title']}, {target['refId']}", _chosen(target["expr"]))
        for panel in board["panels"]
        for target in panel["targets"]
    ]
    for variable in board["templating"]["list"]:
        series = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
        assert series, variable
        found.append(Query(f"{path.stem}: ${variable['name']}", f"count by ({series[2]}) ({series[1]})"))
    return found


def of_rules(path: Path = ALERTS) -> list[Query]:
    groups = yaml.safe_load(path.read_text())["groups"]
    return [Query(rule["alert"], rule["expr"]) for group in groups for rule in group["rules"]]


def of_scaling() -> list[Query]:
    """By KEDA, and by prometheus-adapter, which puts in what it is asked for."""
    (scaled,) = yaml.safe_load_all((KUBERNETES / "keda.yml").read_text())
    found = [Query("keda.yml", trigger["metadata"]["query"]) for trigger in scaled["spec"]["triggers"]]
    _, adapter = yaml.safe_load_all((KUBERNETES / "hpa.yml").read_text())
    for rule in yaml.safe_load(adapter["data"]["config.yaml"])["rules"]:
        text = rule["metricsQuery"].replace("<<.Series>>", rule["seriesQuery"].partition("{")[0])
        found.append(Query("hpa.yml", text.replace("<<.GroupBy>>", "instance").replace(",<<.LabelMatchers>>", "")))
    return found


def _chosen(text: str) -> str:
    for variable, value in _GRAFANA.items():
        text = text.replace(variable, value)
    assert "$" not in text, text
    return text


def _matches(found: str, operator: str, value: str) -> bool:
    is_so = re.fullmatch(value, found) is not None if "~" in operator else found == value
    return is_so != operator.startswith("!")
