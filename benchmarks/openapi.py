"""Schemathesis, every phase and every check, against a real process: does it do what its OpenAPI document says?

python -m benchmarks.openapi --examples 500 --seed 2
"""

import argparse
import sys
import tempfile
from pathlib import Path

from app.middleware.keys import new_key
from tests.support.artifacts import publish
from tests.support.exploration import RECORDS, explore
from tests.support.process import served


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
        records = str(Path(folder, ".records"))
        with served(Path(folder), "--deadline-ms", "60000", "--keys-file", str(keys), *RECORDS, records) as server:
            server.wait_until_ready()
            server.wait_until_loaded("capsule", 1, **{"X-API-Key": secret})
            run = explore(server.url, secret, arguments.examples, arguments.seed, Path(folder))
    print(run.stdout, run.stderr, sep="\n")
    return run.returncode


if __name__ == "__main__":
    sys.exit(main())
