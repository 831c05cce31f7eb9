"""deploy/kubernetes: valid, of one mind, and what they declare starts the service."""

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate
import pytest
import yaml

from app.settings import Settings
from model.manifest_schema import SCHEMA
from tests.support.artifacts import publish
from tests.support.images import encoded
from tests.support.process import PATIENCE, Server, started
from tests.test_container_files import DOCKERFILE, STOP_SECONDS, VARIABLES

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "deploy" / "kubernetes").glob("*.yml"))
OBJECTS = [each for path in FILES for each in yaml.safe_load_all(path.read_text())]
BY_KIND = {each["kind"]: each for each in OBJECTS}
POD = BY_KIND["Deployment"]["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]
(RUNTIME,) = BY_KIND["ClusterServingRuntime"]["spec"]["containers"]
SERVED = BY_KIND["InferenceService"]
LABELS = {"app.kubernetes.io/name": "camspector"}
OTHERS = {"keda.sh/v1alpha1", "serving.kserve.io/v1alpha1", "serving.kserve.io/v1beta1"}
"""Of which no schema is at hand."""


@pytest.mark.parametrize("version", ["1.32", "1.37"])
@pytest.mark.parametrize("described", OBJECTS, ids=lambda each: each["kind"])
def test_valid(described: dict[str, Any], version: str) -> None:
    """No unknown member either."""
    if described["apiVersion"] in OTHERS:
        with pytest.raises(kubernetes_validate.SchemaNotFoundError):
            kubernetes_validate.validate(described, version)
    else:
        kubernetes_validate.validate(described, version, strict=True)


def test_kserves_container_is_valid() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [RUNTIME]}}
    kubernetes_validate.validate(pod, "1.37", strict=True)


def test_kinds() -> None:
    assert len(BY_KIND) == len(OBJECTS)
    assert BY_KIND.keys() == {
        *("Deployment", "Service", "PersistentVolumeClaim", "PodDisruptionBudget", "NetworkPolicy"),
        *("HorizontalPodAutoscaler", "ConfigMap", "ScaledObject", "ClusterServingRuntime", "InferenceService"),
    }


def test_they_mean_the_same_pods() -> None:
    assert POD["metadata"]["labels"] == LABELS
    assert BY_KIND["Service"]["spec"]["selector"] == LABELS
    assert BY_KIND["NetworkPolicy"]["spec"]["podSelector"] == {"matchLabels": LABELS}
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert BY_KIND[kind]["spec"]["selector"] == {"matchLabels": LABELS}
    for kind in ("HorizontalPodAutoscaler", "ScaledObject"):
        assert BY_KIND[kind]["spec"]["scaleTargetRef"]["name"] == BY_KIND["Deployment"]["metadata"]["name"]


def test_they_mean_the_same_port_and_volume() -> None:
    (port,) = CONTAINER["ports"]
    assert port["containerPort"] == Settings.model_fields["port"].default == RUNTIME["ports"][0]["containerPort"]
    assert {each["targetPort"] for each in BY_KIND["Service"]["spec"]["ports"]} == {port["name"]}
    assert {each["port"] for each in BY_KIND["NetworkPolicy"]["spec"]["ingress"][0]["ports"]} == {port["name"]}
    assert POD["metadata"]["annotations"]["prometheus.io/port"] == str(port["containerPort"])
    (volume,) = POD["spec"]["volumes"]
    claim = BY_KIND["PersistentVolumeClaim"]["metadata"]["name"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim
    assert {each["name"] for each in CONTAINER["volumeMounts"]} == {volume["name"]}
    assert SERVED["spec"]["predictor"]["model"]["storageUri"].startswith(f"pvc://{claim}/")


def test_a_scaled_deployment_scales_by_a_metric_that_is_made() -> None:
    (metric,) = BY_KIND["HorizontalPodAutoscaler"]["spec"]["metrics"]
    (rule,) = yaml.safe_load(BY_KIND["ConfigMap"]["data"]["config.yaml"])["rules"]
    assert metric["pods"]["metric"]["name"] == rule["name"]["as"]


def test_a_stop_is_waited_for_and_noticed() -> None:
    for grace in (POD["spec"], SERVED["spec"]["predictor"]):
        assert grace["terminationGracePeriodSeconds"] > STOP_SECONDS
    drain = Settings.model_fields["drain_seconds"].default
    probe = CONTAINER["readinessProbe"]
    assert probe["failureThreshold"] * probe["periodSeconds"] < drain


@pytest.mark.parametrize("container", [CONTAINER, RUNTIME], ids=lambda each: each["name"])
def test_confined(container: dict[str, Any]) -> None:
    held = container["securityContext"]
    assert held["readOnlyRootFilesystem"]
    assert held["allowPrivilegeEscalation"] is False
    assert held["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"].keys() == {"cpu", "memory"}
    of_pod = POD["spec"]["securityContext"]
    assert f"USER {of_pod['runAsUser']}:{of_pod['runAsGroup']}" in DOCKERFILE.splitlines()
    assert of_pod["runAsNonRoot"]
    assert BY_KIND["NetworkPolicy"]["spec"]["egress"] == []


def test_variables_are_settings() -> None:
    named = {name for path in FILES for name in re.findall(r"CAMSPECTOR_[A-Z_]+\b", path.read_text())}
    assert named <= VARIABLES
    assert {each["name"] for each in CONTAINER["env"]} <= VARIABLES


def test_the_format_is_that_of_the_manifest() -> None:
    (offered,) = BY_KIND["ClusterServingRuntime"]["spec"]["supportedModelFormats"]
    assert offered["version"] == str(SCHEMA)
    assert SERVED["spec"]["predictor"]["model"]["modelFormat"]["name"] == offered["name"]
    assert SERVED["spec"]["predictor"]["model"]["runtime"] == BY_KIND["ClusterServingRuntime"]["metadata"]["name"]


@contextmanager
def container(described: dict[str, Any], mounts: dict[str, Path]) -> Iterator[Server]:
    """The image's command with what the container declares: a process, each mount elsewhere, on a free port."""

    def placed(text: str) -> str:
        for there, here in mounts.items():
            text = re.sub(rf"(?<![\w/]){re.escape(there)}(?!\w)", str(here), text)
        return text.replace("{{.Name}}", SERVED["metadata"]["name"])

    entrypoint = re.search(r"^ENTRYPOINT (.+)$", DOCKERFILE, re.MULTILINE)
    assert entrypoint
    python, *module = json.loads(entrypoint[1])
    assert python == "python"
    command = [sys.executable, *module, *described.get("args", []), "--port", "0"]
    image = dict(re.findall(r"^(?:ENV|   ) +([A-Z_]+)=([^\s\\]+)", DOCKERFILE, re.MULTILINE))
    declared = image | {each["name"]: each["value"] for each in described.get("env", [])} | {"PATH": os.environ["PATH"]}
    environment = {name: placed(value) for name, value in declared.items()}
    with started([placed(each) for each in command], environment, may_write=False) as server:
        yield Server(server.process, server.url.replace("0.0.0.0", "127.0.0.1"), server.lines, server.reading)


def probed(server: Server, described: dict[str, Any]) -> dict[str, int]:
    """Status by probe."""
    probes = {name: probe["httpGet"]["path"] for name, probe in described.items() if name.endswith("Probe")}
    return {name: httpx.get(server.url + path, timeout=PATIENCE).status_code for name, path in probes.items()}


def test_the_deployments_container_serves(tmp_path: Path) -> None:
    publish(tmp_path, "capsule", onnx=True)
    (mount,) = CONTAINER["volumeMounts"]
    with container(CONTAINER, {mount["mountPath"]: tmp_path}) as server:
        server.wait_until_ready()
        assert set(probed(server, CONTAINER).values()) == {200}
        assert httpx.post(f"{server.url}/predict", content=encoded(), timeout=PATIENCE).json()["model"] == "capsule"
    assert json.loads(server.lines[0])["level"] == "info"


@pytest.mark.parametrize("mounted", ["store", "model", "version", "links"])
def test_kserves_container_serves_whatever_is_mounted(tmp_path: Path, mounted: str) -> None:
    """links: as KServe's storage initializer has a volume at /mnt/models."""
    version = publish(tmp_path / "store", "capsule", onnx=True)
    publish(tmp_path / "store", "grid", onnx=True)
    storage = {"store": tmp_path / "store", "model": version.parent, "version": version}.get(mounted)
    if storage is None:
        storage = tmp_path / "mnt" / "models"
        storage.mkdir(parents=True)
        for each in version.iterdir():
            (storage / each.name).symlink_to(each)
    with container(RUNTIME, {"/mnt/models": storage}) as server:
        server.wait_until_ready()
        assert set(probed(server, RUNTIME).values()) == {200}
        model = f"{server.url}/v2/models/{SERVED['metadata']['name']}"
        assert httpx.get(f"{model}/ready", timeout=PATIENCE).json()["ready"]
        assert httpx.get(model, timeout=PATIENCE).json()["platform"]
        assert httpx.post(f"{server.url}/predict", content=encoded(), timeout=PATIENCE).json()["model"] == "capsule"


def test_a_service_that_is_none_of_the_stores_models_says_so(tmp_path: Path) -> None:
    publish(tmp_path, "grid", onnx=True)
    with container(RUNTIME, {"/mnt/models": tmp_path}) as server:
        server.wait_until_loaded("grid", 1)
        reply = httpx.get(f"{server.url}/readyz", timeout=PATIENCE)
        assert (reply.status_code, reply.json()["detail"]) == (
            503,
            "the default model 'capsule' is not in the store; there are: grid",
        )
