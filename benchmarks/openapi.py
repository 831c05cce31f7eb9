"""Schemathesis, every phase and every check, against a real process: does it do what its OpenAPI document says?

python benchmarks/openapi.py --examples 500 --seed 2
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from app.keys import new_key  # noqa: E402
from tests.support.artifacts import publish  # noqa: E402
from tests.support.process import served  # noqa: E402


def explore(url: str, key: str, examples: int, seed: int) -> subprocess.CompletedProcess[str]:
    """`examples` a route and phase, at most; the same ones for the same seed. `key`: an administrator's.

    Exit status 0: nothing was found.
    """
    settings = ROOT / "tests" / "app" / "schemathesis.toml"
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(settings), "run", f"{url}/openapi.json"]
    bounds = ["--max-examples", str(examples), "--seed", str(seed), "--request-timeout", "60"]
    manner = ["--header", f"X-API-Key: {key}", "--continue-on-failure", "--generation-database", "none", "--no-color"]
    return subprocess.run(
        [*command, *bounds, *manner, "--checks", "all"],
        cwd=ROOT,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.app.schemathesis_hooks"},
        capture_output=True,
        text=True,
        check=False,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--examples", type=int, default=100, help="of each route and phase, at most")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for slope in (10.0, 5.0):
            publish(Path(folder), "capsule", slope=slope)
        secret, key = new_key("admin", "schemathesis")
        keys = Path(folder, "keys")
        keys.write_text(key.line)
        with served(Path(folder), "--deadline-ms", "60000", "--keys-file", str(keys)) as server:
            server.wait_until_ready()
            server.wait_until_loaded("capsule", 1, **{"X-API-Key": secret})
            run = explore(server.url, secret, arguments.examples, arguments.seed)
    print(run.stdout, run.stderr, sep="\n")
    return run.returncode


if __name__ == "__main__":
    sys.exit(main())
