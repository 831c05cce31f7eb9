"""Spans of real requests, kept in memory; and that nothing is imported where they aren't asked for."""

import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.__main__ import main
from app.monitoring.tracing import Tracing
from tests.app.conftest import Bench
from tests.support.process import ROOT

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


@pytest.fixture
def exporter(bench: Bench) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    bench.service.tracing = Tracing(exporter, station="cell-7")
    for worker in bench.service.inference.workers:
        worker._tracing = bench.service.tracing
    return exporter


def spans(bench: Bench, exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    assert bench.service.tracing
    bench.service.tracing.stop()
    return {span.name: span for span in exporter.get_finished_spans()}


@pytest.mark.anyio
async def test_a_request_its_steps_and_its_batch(bench: Bench, exporter: InMemorySpanExporter) -> None:
    bench.widget.gate.set()
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Part-ID": "part-1"}
    assert (await bench.predict(255, **headers)).status_code == 200
    found = spans(bench, exporter)
    request = found.pop("POST /v1/models/{model}/predict")
    assert request.parent
    assert request.attributes
    assert request.start_time
    assert request.end_time
    assert (f"{request.context.trace_id:032x}", f"{request.parent.span_id:016x}") == (TRACE, PARENT)
    assert request.attributes["camspector.decision"] == ("reject",)
    assert request.attributes["camspector.part_id"] == "part-1"
    assert request.attributes["http.response.status_code"] == 200
    assert request.resource.attributes["camspector.station"] == "cell-7"
    assert "camspector.line" not in request.resource.attributes
    batch = found.pop("batch")
    assert [link.context for link in batch.links] == [request.context]
    assert batch.parent is None
    assert list(found) == ["decode", "queue", "predict", "render"]
    ends = [request.start_time]
    for step in found.values():
        assert step.parent == request.context
        assert step.start_time
        assert step.end_time
        assert ends[-1] <= step.start_time + 1000 <= step.end_time + 1000
        ends.append(step.end_time)
    assert ends[-1] <= request.end_time


@pytest.mark.anyio
async def test_a_caller_without_a_trace_and_an_error(bench: Bench, exporter: InMemorySpanExporter) -> None:
    bench.widget.error = ZeroDivisionError()
    bench.widget.gate.set()
    assert (await bench.predict(1, traceparent="nonsense")).status_code == 500
    (request,) = spans(bench, exporter).values()
    assert request.parent is None
    assert not request.status.is_ok
    assert request.attributes
    assert request.attributes["error.type"] == "internal-error"


def test_nothing_is_imported_where_it_is_not_asked_for() -> None:
    """FastAPI imports OpenTelemetry's interface by itself, where it is there; that does nothing without the rest."""
    program = (
        "import sys; from pathlib import Path; import app.connection.server; from app.application import create_app;"
        "from app.settings import Settings; create_app(Settings(store=Path('x')));"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "app.monitoring.tracing", None)
    flags = ["--store", "x", "--device", "cpu", "--trace-endpoint", "http://127.0.0.1:4318/v1/traces"]
    assert main(["serve", *flags]) == 2
    assert "camspector[tracing]" in capsys.readouterr().err
