"""deploy/fleet.yml over docker-compose.yml, and what its programs are given."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings

ROOT = Path(__file__).parent.parent
PROMTOOL = shutil.which("promtool")
TEXT = (ROOT / "deploy" / "fleet.yml").read_text()
VARIABLES = {f"CAMSPECTOR_{name.upper()}" for name in Settings.model_fields}
HOST = r"[\w-]+(\.[\w-]+)*\.(io|org|com|dev|net)\b"


def loaded(path: str) -> Any:
    """With compose's own tag taken out: `!reset` has an empty value."""
    return yaml.safe_load((ROOT / path).read_text().replace(" !reset ", " "))


FLEET = loaded("deploy/fleet.yml")
SERVICES = FLEET["services"]
GRAFANA = "deploy/grafana/provisioning"


REPLICAS = [name for name in SERVICES if re.match("camspector", name)]


def environment(service: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in SERVICES[service]["environment"])


def mounts(service: str) -> dict[str, str]:
    """Source by where it is in the container."""
    return {target: source for source, target in (line.split(":")[:2] for line in SERVICES[service]["volumes"])}


def test_it_adds_to_the_service_and_takes_its_port_away() -> None:
    base = loaded("docker-compose.yml")
    assert set(base["services"]) == {"camspector"}
    assert base["services"]["camspector"]["ports"]
    assert REPLICAS == ["camspector", "camspector-2"]
    assert [SERVICES[name]["ports"] for name in REPLICAS] == [[], []]
    assert TEXT.count("    ports: !reset []") == len(REPLICAS)
    assert environment("camspector").keys() - {"PGPASSWORD"} <= VARIABLES
    assert environment("camspector")["CAMSPECTOR_STATE"] == ""  # whatever is set for one alone


def test_every_file_is_there() -> None:
    files = [line.split(":")[0] for service in SERVICES.values() for line in service.get("volumes", [])]
    folders = [name for name in files if name.startswith("./")]
    assert len(folders) == 6
    assert all((ROOT / name).exists() for name in folders)
    assert {name for name in files if not name.startswith("./")} == set(FLEET["volumes"])


def test_what_is_mounted_from_here_is_read_only() -> None:
    lines = re.findall(r"^ +- (\./\S+)", TEXT, re.MULTILINE)
    assert lines
    assert all(line.endswith(":ro") for line in lines)


def test_images_are_pinned_and_no_registry_is_named() -> None:
    for name, service in SERVICES.items():
        if name not in REPLICAS:
            assert re.fullmatch(r"\$\{\w+_IMAGE:-[\w/]+:v?\d[\d.]*\}", service["image"]), name
    assert re.findall(rf"\w+://(?!camspector@postgresql)\S+|{HOST}", TEXT) == []


def test_passwords_are_asked_for() -> None:
    assert re.findall(r"PASSWORD=(.+)$", TEXT, re.MULTILINE) == [
        "${POSTGRES_PASSWORD:?}",
        "${POSTGRES_PASSWORD:?}",
        "${GRAFANA_PASSWORD:?}",
    ]


def test_what_has_no_password_is_for_this_host_alone() -> None:
    """PostgreSQL is for nobody outside."""
    ports = {name: service["ports"] for name, service in SERVICES.items() if service.get("ports")}
    assert ports.keys() == {"gateway", "prometheus", "grafana"}
    assert all(line.startswith("127.0.0.1:") for line in ports["prometheus"])
    assert all(line.startswith("${ADDRESS:-127.0.0.1}:") for name in ("gateway", "grafana") for line in ports[name])


def test_programs_find_each_other() -> None:
    upstream = (ROOT / "deploy" / "fleet-upstream.conf").read_text()
    assert re.findall(r"^    server (\S+):8000 resolve;", upstream, re.MULTILINE) == REPLICAS
    assert SERVICES["gateway"]["depends_on"] == REPLICAS
    assert environment("camspector")["CAMSPECTOR_RECORDS"] == "postgresql://camspector@postgresql/camspector"
    (source,) = loaded(f"{GRAFANA}/datasources/prometheus.yml")["datasources"]
    assert (source["type"], source["uid"], source["url"]) == ("prometheus", "camspector", "http://prometheus:9090")
    (provider,) = loaded(f"{GRAFANA}/dashboards/camspector.yml")["providers"]
    assert mounts("grafana")[provider["options"]["path"]] == "./deploy/grafana/dashboards"
    assert mounts("grafana")["/etc/grafana/provisioning"] == f"./{GRAFANA}"
    listening = re.findall(r"^    listen (\d+);", (ROOT / "deploy" / "nginx.conf").read_text(), re.MULTILINE)
    assert [line.rpartition(":")[2] for line in SERVICES["gateway"]["ports"]] == listening


def test_replicas_differ_in_their_name_alone() -> None:
    first, second = (dict(SERVICES[name]) for name in REPLICAS)
    assert second.pop("extends") == {"file": "docker-compose.yml", "service": "camspector"}
    assert first == second


def test_every_replica_is_scraped_under_its_name() -> None:
    (job,) = loaded("deploy/prometheus.yml")["scrape_configs"]
    (group,) = job["static_configs"]
    assert group["targets"] == [f"{name}:8000" for name in REPLICAS]
    assert job["job_name"] == "camspector"
    (rule,) = job["relabel_configs"]
    matches = [re.fullmatch(rule["regex"], target) for target in group["targets"]]
    assert [match and match[1] for match in matches] == REPLICAS


def test_rules_are_beside_the_configuration() -> None:
    """In the container as here."""
    for name in ("prometheus.yml", "alerts.yml"):
        assert mounts("prometheus")[f"/etc/prometheus/{name}"] == f"./deploy/{name}"
    assert loaded("deploy/prometheus.yml")["rule_files"] == ["alerts.yml"]


@pytest.mark.skipif(PROMTOOL is None, reason="needs promtool (Debian package prometheus)")
def test_configuration_and_rules_in_the_real_promtool() -> None:
    assert PROMTOOL
    command = [PROMTOOL, "check", "config", "deploy/prometheus.yml"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"1 rule files found.*\d\d rules found", run.stdout, re.DOTALL)


def test_grafana_calls_nobody() -> None:
    said = environment("grafana")
    assert {
        name for name, value in said.items() if re.search("ANALYTICS|NEWS", name) and value.split()[0] != "false"
    } == set()
    assert said["GF_PLUGINS_PREINSTALL_DISABLED"] == "true"
