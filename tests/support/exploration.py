"""Schemathesis against a real process, by its OpenAPI document."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import httpx

from tests.support.images import encoded
from tests.support.process import PATIENCE, ROOT

RECORDS: Final = ("--records-images", "all", "--records")
"""Arguments of the service, before the folder: else routes of inspections have nothing to answer."""


def explore(url: str, key: str, examples: int, seed: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """`examples` a route and phase, at most; the same ones for the same seed. `key`: an administrator's; `folder`: for
    settings. The model `capsule` is there, and records are kept.

    A stream that ends when the client leaves is left out: here nobody would leave. Exit status 0: nothing was found.
    """
    predict = f"{url}/v1/models/capsule/predict"
    recorded = httpx.post(predict, content=encoded(), headers={"X-API-Key": key}, timeout=PATIENCE).json()
    text = (ROOT / "tests" / "app" / "schemathesis.toml").read_text()
    settings = folder / "schemathesis.toml"
    inference_id = f'"path.inference_id" = "{recorded["inference_id"]}"'
    settings.write_text(text.replace("[parameters]", f"[parameters]\n{inference_id}"))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(settings), "run", f"{url}/openapi.json"]
    bounds = ["--max-examples", str(examples), "--seed", str(seed), "--request-timeout", "60"]
    bounds += ["--exclude-path", "/v1/events"]
    manner = ["--header", f"X-API-Key: {key}", "--continue-on-failure", "--generation-database", "none", "--no-color"]
    return subprocess.run(
        [*command, *bounds, *manner, "--checks", "all"],
        cwd=ROOT,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.app.schemathesis_hooks"},
        capture_output=True,
        text=True,
        check=False,
    )
