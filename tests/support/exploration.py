"""Schemathesis against a real process, by its OpenAPI document."""

import os
import subprocess
import sys

from tests.support.process import ROOT


def explore(url: str, key: str, examples: int, seed: int) -> subprocess.CompletedProcess[str]:
    """`examples` a route and phase, at most; the same ones for the same seed. `key`: an administrator's.

    A stream that ends when the client leaves is left out: here nobody would leave. Exit status 0: nothing was found.
    """
    settings = ROOT / "tests" / "app" / "schemathesis.toml"
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
