"""The service does what its OpenAPI document says: Schemathesis, every phase and check, over a real process."""

import re

import httpx

from benchmarks.openapi import explore
from tests.app.process import Server


def test_schemathesis_finds_nothing(server: Server) -> None:
    run = explore(server.url, examples=8, seed=1)
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr
    assert "No issues found" in run.stdout
    generated = re.search(r"(\d+) generated, \1 passed", run.stdout)
    assert generated
    assert int(generated[1]) > 500
    # Pictures were judged by every route that judges; else nothing would be found because nothing was asked.
    metrics = httpx.get(f"{server.url}/metrics").text
    judged = re.findall(r'http_requests_total\{method="POST",route="(\S+)",status="200"\}', metrics)
    assert {route.rpartition("/")[2] for route in judged} == {"predict", "infer"}
    assert len(judged) == 5
