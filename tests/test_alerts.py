"""deploy/alerts.yml in the real promtool: every rule fires on what it is for, and never on another program's series."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALERTS = ROOT / "deploy" / "alerts.yml"
PROMTOOL = shutil.which("promtool")
SCRAPED = 'job="camspector",instance="a"'
PREDICT = 'method="POST",route="/v1/models/{model}/predict"'
ACCEPTS = 'camspector_verdicts_total{model="m",version="2",label="good",decision="accept"}'
REJECTS = 'camspector_verdicts_total{model="m",version="2",label="anomaly",decision="reject"}'
ODD = 'camspector_odd_images_total{model="m",check="sharpness"}'
PAST = 180
"""Minutes, and samples: one a minute."""
DAY = 1440

pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="needs promtool (Debian package prometheus)")

Series = dict[str, str]
"""Values in promtool's notation by name and labels, without those of the scrape."""

WELL: Series = {
    "up{}": f"1x{2 * PAST}",
    'camspector_model_serving_version{model="m"}': f"2x{2 * PAST}",
    'camspector_model_refused_versions{model="m"}': f"0x{2 * PAST}",
    'camspector_model_serving_error{model="m"}': f"0x{2 * PAST}",
    "camspector_recipes_error{}": f"0x{2 * PAST}",
    "camspector_model_evictions_total{}": f"0+0.2x{2 * PAST}",
    "process_open_fds{}": f"100x{2 * PAST}",
    "process_max_fds{}": f"1000x{2 * PAST}",
    "process_resident_memory_bytes{}": f"1000000000x{2 * PAST}",
    f'camspector_http_requests_total{{{PREDICT},status="200"}}': f"0+60x{2 * PAST}",
    'camspector_http_requests_total{method="GET",route="/readyz",status="503"}': f"0+60x{2 * PAST}",
    'camspector_requests_rejected_total{reason="internal-error"}': f"0x{2 * PAST}",
    'camspector_requests_rejected_total{reason="engine-failed"}': f"0x{2 * PAST}",
    f'camspector_http_request_duration_seconds_bucket{{{PREDICT},le="2.5"}}': f"0+60x{2 * PAST}",
    f'camspector_http_request_duration_seconds_bucket{{{PREDICT},le="5.0"}}': f"0+60x{2 * PAST}",
    f'camspector_http_request_duration_seconds_bucket{{{PREDICT},le="+Inf"}}': f"0+60x{2 * PAST}",
    'camspector_requests_rejected_total{reason="codecs-unavailable"}': f"0x{2 * PAST}",
    'camspector_codec_processes_killed_total{reason="crash"}': f"0x{2 * PAST}",
    'camspector_codec_processes_killed_total{reason="deadline"}': f"0+1x{2 * PAST}",
    "camspector_store_poll_age_seconds{}": f"3x{2 * PAST}",
    "camspector_records_unavailable{}": f"0x{2 * PAST}",
    'camspector_records_total{result="written"}': f"0+60x{2 * PAST}",
    'camspector_records_total{result="unconfirmed"}': f"0+1x{2 * PAST}",
    'camspector_records_total{result="lost"}': f"5x{2 * PAST}",
    'camspector_records_total{result="image-lost"}': f"0x{2 * PAST}",
    'camspector_drift_alarm{model="m",quantity="brightness",change="down"}': f"0x{2 * PAST}",
    'camspector_challenges_total{model="m",kind="crack",result="passed"}': f"0+1x{2 * PAST}",
    'camspector_challenges_total{model="m",kind="crack",result="failed"}': f"2x{2 * PAST}",
    "camspector_log_lines_waiting{}": f"1x{2 * PAST}",
    "camspector_log_lines_dropped_total{}": f"7x{2 * PAST}",
    ACCEPTS: f"0+57x{2 * PAST}",
    REJECTS: f"0+3x{2 * PAST}",
    ODD: f"0+1x{2 * PAST}",
}
"""A service at work for six hours."""


def rejected(reason: str, values: str) -> Series:
    return {f'camspector_requests_rejected_total{{reason="{reason}"}}': values}


def slow(seconds: str) -> Series:
    """All answers took longer than that."""
    return {name: f"0x{2 * PAST}" for name in WELL if f'le="{seconds}"' in name}


ILL: list[tuple[str, Series]] = [
    ("CamspectorDown", {"up{}": f"1x{PAST} 0x{PAST}"}),
    ("CamspectorServerErrors", {f'camspector_http_requests_total{{{PREDICT},status="503"}}': f"0+1x{2 * PAST}"}),
    ("CamspectorEngineFails", rejected("engine-failed", f"0x{PAST + 55} 1x{PAST}")),
    ("CamspectorEngineFails", rejected("device-out-of-memory", f"0x{PAST + 55} 1x{PAST}")),
    ("CamspectorModelNotServed", {'camspector_model_serving_version{model="m"}': f"2x{PAST} 0x{PAST}"}),
    ("CamspectorModelNotServed", {'camspector_model_serving_version{model="m"}': f"2x{PAST} stale"}),
    ("CamspectorVersionRefused", {'camspector_model_refused_versions{model="m"}': f"0x{PAST} 1x{PAST}"}),
    ("CamspectorServingError", {'camspector_model_serving_error{model="m"}': f"0x{PAST} 1x{PAST}"}),
    ("CamspectorRecipesError", {"camspector_recipes_error{}": f"0x{PAST} 1x{PAST}"}),
    ("CamspectorModelsThrash", {"camspector_model_evictions_total{}": f"0x{PAST} 0+3x{PAST}"}),
    ("CamspectorBug", rejected("internal-error", f"0x{PAST + 55} 1x{PAST}")),
    ("CamspectorOverloaded", rejected("queue-full", f"0+1x{2 * PAST}")),
    ("CamspectorOverloaded", rejected("deadline-unreachable", f"0+1x{2 * PAST}")),
    ("CamspectorDeadlinesMissed", rejected("deadline-passed", f"0+1x{2 * PAST}")),
    ("CamspectorSlow", slow("2.5")),
    ("CamspectorRejectsMany", {REJECTS: f"0+3x{PAST} 540+60x{PAST}", ACCEPTS: f"0+57x{PAST} 10260x{PAST}"}),
    ("CamspectorOddImages", {ODD: f"0x{PAST} 0+4x{PAST}"}),
    ("CamspectorOutOfFiles", {"process_open_fds{}": f"100x{PAST} 900x{PAST}"}),
    ("CamspectorMemory", {"process_resident_memory_bytes{}": f"1000000000x{PAST} 5000000000x{PAST}"}),
    ("CamspectorStoreStalls", {"camspector_store_poll_age_seconds{}": f"5x{PAST} 300x{PAST}"}),
    ("CamspectorLogStalls", {"camspector_log_lines_waiting{}": f"0x{PAST} 2000x{PAST}"}),
    ("CamspectorLogStalls", {"camspector_log_lines_dropped_total{}": f"0x{PAST} 0+5x{PAST}"}),
    ("CamspectorRecordsUnavailable", {"camspector_records_unavailable{}": f"0x{PAST + 50} 1x{PAST}"}),
    ("CamspectorRecordsLost", {'camspector_records_total{result="lost"}': f"0x{PAST + 55} 3x{PAST}"}),
    ("CamspectorRecordsLost", {'camspector_records_total{result="image-lost"}': f"0x{PAST + 55} 1x{PAST}"}),
    (
        "CamspectorDrift",
        {'camspector_drift_alarm{model="m",quantity="brightness",change="down"}': f"0x{PAST} 1x{PAST}"},
    ),
    (
        "CamspectorChallengeFailed",
        {'camspector_challenges_total{model="m",kind="crack",result="failed"}': f"0x{PAST + 55} 1x{PAST}"},
    ),
    ("CamspectorCodecsFail", {'camspector_codec_processes_killed_total{reason="crash"}': f"0x{PAST + 55} 20x{PAST}"}),
    ("CamspectorCodecsFail", rejected("codecs-unavailable", f"0x{PAST + 55} 1x{PAST}")),
]
"""Which alert fires an hour after three, when a service that is well has these series instead."""


@dataclass(frozen=True)
class Scene:
    """What Prometheus has scraped when it is asked."""

    series: dict[str, str]
    minutes: int = PAST + 60
    interval: str = "1m"
    """Between evaluations of the rules."""

    def firing(self, folder: Path) -> set[str]:
        """The alerts."""
        asked = {"expr": 'count by (alertname) (ALERTS{alertstate="firing"})', "eval_time": f"{self.minutes}m"}
        test = {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in self.series.items()],
            "promql_expr_test": [asked],
        }
        file = folder / "test.json"
        file.write_text(
            json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": self.interval, "tests": [test]})
        )
        assert PROMTOOL
        run = subprocess.run([PROMTOOL, "test", "rules", str(file)], capture_output=True, text=True, check=False)
        said = run.stdout + run.stderr
        assert run.returncode == 0 or "got:" in said, said
        return set(re.findall(r'alertname="(\w+)"', said))


def scraped(labels: str, *series: Series) -> dict[str, str]:
    """The union, the later ones winning, as scraped with these labels."""
    union: Series = {}
    for each in series:
        union |= each
    return {name.replace("{", f"{{{labels},", 1).replace(",}", "}"): values for name, values in union.items()}


def test_every_rule_is_tested() -> None:
    named = re.findall(r"- alert: (\w+)", ALERTS.read_text())
    assert sorted(named) == sorted({alert for alert, _ in ILL})


def test_a_service_that_is_well_is_left_alone(tmp_path: Path) -> None:
    assert Scene(scraped(SCRAPED, WELL)).firing(tmp_path) == set()


@pytest.mark.parametrize(("alert", "ill"), ILL)
def test_fires_on_its_own_series(tmp_path: Path, alert: str, ill: Series) -> None:
    """Whatever another program does, at the very address that the service has, as far as `instance` can tell."""
    busy = {name: values.replace("0+60x", "0+100000x").replace("0+57x", "0+100000x") for name, values in WELL.items()}
    series = scraped(SCRAPED, WELL, ill) | scraped('job="shop",instance="a"', busy)
    assert Scene(series).firing(tmp_path) == {alert}


def test_is_silent_on_the_series_of_other_programs(tmp_path: Path) -> None:
    series = scraped(SCRAPED, WELL)
    for number, (_, ill) in enumerate(ILL):
        series |= scraped(f'job="shop-{number}",instance="{number}"', WELL, ill)
    assert Scene(series).firing(tmp_path) == set()


def test_a_service_that_nobody_asks_is_left_alone(tmp_path: Path) -> None:
    """0/0 is no alert."""
    still = {name: f"7x{2 * PAST}" for name in WELL if "_total" in name or "_bucket" in name}
    assert Scene(scraped(SCRAPED, WELL, still)).firing(tmp_path) == set()


def test_a_service_that_was_never_asked_is_left_alone(tmp_path: Path) -> None:
    """Most of its series aren't there before the first request."""
    fresh = {name: values for name, values in WELL.items() if "_total" not in name and "_bucket" not in name}
    assert Scene(scraped(SCRAPED, fresh)).firing(tmp_path) == set()


@pytest.mark.parametrize("minutes", [1, 10, 45, 120])
def test_a_start_is_no_alert(tmp_path: Path, minutes: int) -> None:
    """Prometheus has no day to compare with, a model takes its time to load."""
    loading = {'camspector_model_serving_version{model="m"}': f"0x1 2x{PAST}"}
    assert Scene(scraped(SCRAPED, WELL, loading), minutes).firing(tmp_path) == set()


@pytest.mark.parametrize("minutes", [3, 10, 20, 45])
def test_a_start_with_many_models_is_no_alert(tmp_path: Path, minutes: int) -> None:
    """Each is loaded once, and leaves again, so that a broken one is known before it is asked for."""
    tried = {"camspector_model_evictions_total{}": f"0+30x4 120x{PAST}"}
    assert Scene(scraped(SCRAPED, WELL, tried), minutes).firing(tmp_path) == set()


@pytest.mark.parametrize("minutes", [1, 10, 45])
def test_a_restart_is_no_alert(tmp_path: Path, minutes: int) -> None:
    """Counters begin anew at 0."""
    again = {
        name: f"{values.partition('x')[0]}x{PAST} {values.partition('x')[0]}x{PAST}"
        for name, values in WELL.items()
        if values.startswith("0+")
    }
    again |= rejected("internal-error", f"3x{PAST} 0x{PAST}") | rejected("engine-failed", f"1x{PAST} 0x{PAST}")
    assert Scene(scraped(SCRAPED, WELL, again), PAST + minutes).firing(tmp_path) == set()


def test_a_shift_that_begins_is_no_alert(tmp_path: Path) -> None:
    """A line that stood still for two thirds of the day rejects the share that it always does."""
    shift = {name: values.replace(f"x{2 * PAST}", f"x{2 * DAY}") for name, values in WELL.items()}
    shift |= {REJECTS: f"0+3x480 1440x{DAY - 481} 1440+3x{DAY}", ACCEPTS: f"0+57x480 27360x{DAY - 481} 27360+57x{DAY}"}
    assert Scene(scraped(SCRAPED, shift), DAY + 60, "5m").firing(tmp_path) == set()


def test_a_few_rejects_after_a_pause_are_no_alert(tmp_path: Path) -> None:
    few = {name: values.replace(f"x{2 * PAST}", f"x{2 * DAY}") for name, values in WELL.items()}
    few |= {REJECTS: f"0+3x480 1440x{DAY - 461} 1445x{DAY}", ACCEPTS: f"0+57x480 27360x{2 * DAY}"}
    few[ODD] = f"0+1x480 480x{2 * DAY}"
    assert Scene(scraped(SCRAPED, few), DAY + 60, "5m").firing(tmp_path) == set()


def test_fires_where_nothing_is_scraped(tmp_path: Path) -> None:
    assert Scene({"up{}": f"1x{DAY}"}).firing(tmp_path) == {"CamspectorDown"}


def test_fires_where_no_request_is_ever_in_time(tmp_path: Path) -> None:
    """There is no verdict then."""
    late = {f'camspector_http_requests_total{{{PREDICT},status="504"}}': f"0+60x{2 * PAST}"} | rejected(
        "deadline-passed", f"0+60x{2 * PAST}"
    )
    quiet = {name: values for name, values in WELL.items() if "verdicts" not in name and 'status="200"' not in name}
    assert "CamspectorDeadlinesMissed" in Scene(scraped(SCRAPED, quiet, late)).firing(tmp_path)


def test_a_service_that_is_down_is_not_said_to_lack_models(tmp_path: Path) -> None:
    assert Scene(scraped(SCRAPED, {"up{}": f"0x{2 * PAST}"})).firing(tmp_path) == {"CamspectorDown"}


def test_fires_for_one_instance_of_two_without_models(tmp_path: Path) -> None:
    series = scraped(SCRAPED, WELL) | scraped('job="camspector",instance="c"', {"up{}": f"1x{2 * PAST}"})
    assert Scene(series).firing(tmp_path) == {"CamspectorModelNotServed"}
