"""The documentation says what the service does: its commands are run, its replies and tables compared."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from app.application import create_app
from app.documentation import ADMINS, RECORDS, REPORTS, UNANSWERED, VERSION
from app.errors import TABLE, BatchTooLargeError, TensorError, under_v2
from app.schemas import Reloaded
from app.service import Service
from app.settings import Settings
from model.serving import decode
from tests.support.images import encoded
from tests.support.process import ROOT, Server

API = (ROOT / "docs" / "api.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
EXAMPLES = re.findall(r"```sh\n(.+?)```(?:\n\n```json\n(.+?)```)?", API, re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl (Debian package curl)")
@pytest.mark.parametrize(("command", "reply"), EXAMPLES)
def test_example(server: Server, tmp_path: Path, command: str, reply: str) -> None:
    (tmp_path / "image.jpg").write_bytes(encoded("JPEG", seed=6))
    command = command.replace("localhost:8000", server.url.removeprefix("http://")).replace("curl", "curl -sS")
    run = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, check=True)
    if reply:
        assert shape(json.loads(run.stdout)) == shape(json.loads(reply))
    elif "-o overlay.png" in command:
        assert (tmp_path / "overlay.png").read_bytes().startswith(b"\x89PNG")
    else:
        assert json.loads(run.stdout)["model"] == "capsule"


@pytest.mark.parametrize("program", re.findall(r"```python\n(.+?)```", API, re.DOTALL))
def test_example_in_python(server: Server, tmp_path: Path, program: str) -> None:
    (tmp_path / "image.jpg").write_bytes(encoded("JPEG", seed=6))
    program = program.replace("localhost:8000", server.url.removeprefix("http://"))
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\[b'(\w+)' b'\1'\] \[(\d\.\d+) \2\]\n", run.stdout)


def shape(value: object) -> object:
    """The names and kinds of a reply's members, without their values; of a list's members, the first."""
    if isinstance(value, dict):
        if value.keys() >= {"wrong", "images"} or "good" in value:
            return "by kind"
        if value.keys() >= {"per_second", "errors"}:  # of which there may be none or many
            value = {**value, "errors": {}, "statuses": {}, "decisions": {}, "latency_ms": {}}
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shape(member) for member in value[:1]]
    return "number" if isinstance(value, int | float) else type(value)


def test_examples_of_admin_calls() -> None:
    """They need a key, and a store that can be written: tests/app/test_admin.py makes such calls."""
    (body,) = re.findall(r"--json '(\{.+\})'\n```", API)
    (file,) = re.findall(r"```json\n(.+?)```", OPERATIONS, re.DOTALL)
    assert (decode(body.encode()).version, decode(file.encode()).version) == (2, 3)
    (reply,) = re.findall(r"```json\n(\{\s+\"changed\".+?)```", API, re.DOTALL)
    assert Reloaded.model_validate_json(reply).changed[0].serving == 3


def test_table_of_errors() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `([a-z-]+)` \|", API, re.MULTILINE)
    assert rows == [(str(problem.status), problem.error) for problem in TABLE.values()]


def collectors(store: Path) -> CollectorRegistry:
    service: Service = create_app(Settings(store=store)).state.service
    return service.metrics.registry


def test_table_of_metrics(tmp_path: Path) -> None:
    documented = set(re.findall(r"`(\w+)`", API[API.index("| metric | of what |") :]))
    made = {family.name for family in collectors(tmp_path).collect() if not family.name.startswith("process_")}
    assert {name.removesuffix("_total").removesuffix("_info") for name in documented} - {"error"} == made


def test_alerts_name_metrics_labels_and_reasons_that_exist(tmp_path: Path) -> None:
    text = (ROOT / "deploy" / "alerts.yml").read_text()
    expressions = re.findall(r"^        expr: (.+)$", text, re.MULTILINE)
    assert len(expressions) == text.count("- alert: ") == len(set(re.findall("- alert: (.+)", text))) > 5
    families = list(collectors(tmp_path).collect())
    samples = {sample.name for family in families for sample in family.samples}
    labelled = {f"{family.name}_total" for family in families if family.type == "counter"}
    labelled |= {family.name for family in families if family.type == "gauge"}
    buckets = {f"{family.name}_bucket" for family in families if family.type == "histogram"}
    functions = {"sum", "by", "or", "absent", "rate", "increase", "histogram_quantile", "instance", "le", "model"}
    functions |= {"and", "on", "unless", "max", "check"}
    reasons = {problem.error for problem in TABLE.values()}
    for expression in expressions:
        bare = re.sub(r'"[^"]*"|\[\w+\]', "", re.sub(r"\{([^}]*)\}", "", expression))
        named = [name for name in re.findall(r"[a-z_]{2,}", bare) if name not in functions]
        assert set(named) <= samples | labelled | buckets | {"up"}, expression
        assert len(re.findall(r'\{job="camspector"[,}]', expression)) == len(named), expression
        for asked in re.findall(r'reason=~?"([^"]+)"', expression):
            assert set(asked.split("|")) <= reasons


def test_version_is_the_package_s() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


@pytest.mark.anyio
async def test_openapi(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    rows = {error: problem for error, problem in TABLE.items() if error not in UNANSWERED | ADMINS | RECORDS | REPORTS}
    native = {str(problem.status) for error, problem in rows.items() if error not in (TensorError, BatchTooLargeError)}
    predicts = [path["post"] for address, path in document["paths"].items() if address.endswith("/predict")]
    assert len(predicts) == 3
    for operation in predicts:
        assert operation["responses"].keys() == {"200"} | native
        assert operation["responses"]["200"]["content"].keys() == {"application/json", "image/png", "text/plain"}
        assert operation["requestBody"]["content"].keys() >= {"multipart/form-data", "application/json", "image/jpeg"}
    infers = [path["post"] for address, path in document["paths"].items() if address.endswith("/infer")]
    assert len(infers) == 2
    for operation in infers:
        assert operation["responses"].keys() == {"200"} | {str(under_v2(problem).status) for problem in rows.values()}
        assert operation["responses"]["200"]["content"].keys() == {"application/json", "application/octet-stream"}
    for operation in predicts + infers:
        (deadline,) = [each for each in operation["parameters"] if each["name"] == "X-Deadline-Ms"]
        assert deadline["schema"].items() >= {"type": "integer", "minimum": 1, "maximum": 60_000}.items()
    assert "HTTPValidationError" not in json.dumps(document)
    assert "**`probability` is always that of *anomaly*.**" in document["info"]["description"]


@pytest.mark.anyio
async def test_openapi_declares_what_every_reply_may_have(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len(operations) >= 19
    for operation in operations:
        assert operation["responses"].keys() >= {"500", "503"}
        for status, reply in operation["responses"].items():
            assert reply["headers"].keys() >= {"X-Request-ID", "X-Part-ID", "traceparent", "Connection"}
            assert ("Retry-After" in reply["headers"]) == (status in ("429", "503"))
