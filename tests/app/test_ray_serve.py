"""deploy/ray on a cluster of two nodes: the contract of HTTP, and what dies meanwhile."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.app.v2_messages import image, request
from tests.support.images import encoded, png_bomb
from tests.support.process import PATIENCE, ROOT, Server
from tests.support.ray_cluster import ENVIRONMENT, RayNodes, ray_nodes

VARYING = {"timing_ms", "inference_id", "request_id", "id"}
REPLICA = "ServeReplica"


@dataclass(frozen=True)
class Cluster:
    """Two replicas, each on a node of its own, behind the proxy of the first."""

    nodes: RayNodes
    url: str


@pytest.fixture(scope="module")
def cluster(capsule_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The file in deploy/, with this machine's addresses and what is small enough for it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = yaml.safe_load((ROOT / "deploy" / "ray" / "camspector.yml").read_text())
    (application,) = file["applications"]
    (deployment,) = application["deployments"]
    file["proxy_location"] = "HeadOnly"  # two can't have one port of one machine
    file["http_options"] |= {"host": "127.0.0.1", "port": port}
    application["args"] = {"store": str(capsule_store), "device": "cpu", "deadline_ms": 60_000}
    application["runtime_env"]["env_vars"]["PYTHONPATH"] = str(ROOT)
    deployment["ray_actor_options"]["num_cpus"] = 1
    path = tmp_path_factory.mktemp("ray") / "camspector.yml"
    path.write_text(yaml.safe_dump(file))
    with ray_nodes() as nodes:
        start = [sys.executable, "-m", "ray.serve.scripts", "run", str(path), "--address", nodes.address]
        environment = os.environ | ENVIRONMENT
        subprocess.run([*start, "--non-blocking"], cwd=ROOT, env=environment, capture_output=True, check=True)
        found = Cluster(nodes, f"http://127.0.0.1:{port}")
        until(lambda: httpx.get(f"{found.url}/readyz", timeout=PATIENCE).status_code == 200)
        until(lambda: len(nodes.actors(REPLICA)) == 2)
        yield found


def until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.1)


def seen(reply: httpx.Response) -> tuple[int, str, Any]:
    """What must be the same wherever it comes from."""
    kind = reply.headers.get("Content-Type", "")
    if "json" not in kind:
        return reply.status_code, kind, reply.content
    return reply.status_code, kind, {name: value for name, value in reply.json().items() if name not in VARYING}


JSON = {"Content-Type": "application/json"}
REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/livez", {}),
    ("GET", "/readyz", {}),
    ("GET", "/v2/health/ready", {}),
    ("GET", "/v2/models/capsule", {}),
    ("POST", "/predict", {"content": encoded()}),
    ("POST", "/v1/models/capsule/predict?heatmap=overlay", {"content": encoded("JPEG")}),
    ("POST", "/predict", {"files": {"file": ("a.png", encoded(seed=2), "image/png")}}),
    ("POST", "/predict", {"content": encoded(), "headers": {"Accept": "image/png"}}),
    ("POST", "/predict", {"content": encoded(), "headers": {"Accept": "text/plain", "X-Part-ID": "7"}}),
    ("POST", "/v2/models/capsule/infer", {"json": request(image(encoded(), encoded(seed=3)))}),
    ("POST", "/predict", {"content": b"none"}),
    ("POST", "/predict", {"content": b""}),
    ("POST", "/predict", {"content": encoded()[:-100]}),
    ("POST", "/predict", {"content": png_bomb()}),
    ("POST", "/predict", {"content": bytes(21_000_000)}),
    ("POST", "/predict", {"content": encoded(), "headers": {"X-Deadline-Ms": "soon"}}),
    ("POST", "/predict?heatmap=red", {"content": encoded()}),
    ("POST", "/v1/models/gizmo/predict", {"content": encoded()}),
    ("POST", "/v2/models/capsule/infer", {"content": b"{", "headers": JSON}),
    ("GET", "/predict", {}),
    ("GET", "/nowhere", {}),
    ("GET", "/openapi.json", {}),
]


def test_it_answers_as_the_service_does(cluster: Cluster, server: Server) -> None:
    """Every verdict to the digit, and every refusal by its name."""
    for method, path, more in REQUESTS:
        there, here = (httpx.request(method, url + path, timeout=PATIENCE, **more) for url in (cluster.url, server.url))
        assert seen(there) == seen(here), (method, path)
    assert {200, 400, 404, 405, 413, 415, 422} <= {
        httpx.request(method, cluster.url + path, timeout=PATIENCE, **more).status_code
        for method, path, more in REQUESTS
    }


def test_a_replica_that_dies_is_replaced(cluster: Cluster) -> None:
    before = cluster.nodes.actors(REPLICA)
    cluster.nodes.kill_an_actor(REPLICA)
    until(lambda: len({*cluster.nodes.actors(REPLICA)} - {*before}) == 1)
    until(lambda: all(answers(cluster) == 200 for _ in range(10)))


def test_a_node_that_goes_leaves_a_service(cluster: Cluster) -> None:
    """The last test of these nodes: what was on its way to it is lost, and nothing else."""
    expected = seen(httpx.post(f"{cluster.url}/predict", content=encoded(), timeout=PATIENCE))
    cluster.nodes.kill_second()
    until(lambda: all(answers(cluster) == 200 for _ in range(20)))
    assert len(cluster.nodes.actors(REPLICA)) == 1
    assert seen(httpx.post(f"{cluster.url}/predict", content=encoded(), timeout=PATIENCE)) == expected


def answers(cluster: Cluster) -> int:
    return httpx.post(f"{cluster.url}/predict", content=encoded(), timeout=PATIENCE).status_code
