"""A Ray cluster of two nodes on this machine, in processes of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from tests.support.process import PATIENCE, ROOT

_NODES: Final = """
import sys
from ray.cluster_utils import Cluster

small = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}
cluster = Cluster(initialize_head=True, head_node_args=small)
other = cluster.add_node(**small)
print(cluster.address, flush=True)
for line in sys.stdin:
    cluster.remove_node(other, allow_graceful=False)
    other = None
    print("gone", flush=True)
cluster.shutdown()
"""
"""Prints the address; a line on standard input kills the second node, and its end all."""
ENVIRONMENT: Final = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class RayNodes:
    """Two nodes of one CPU each."""

    process: subprocess.Popen[str]
    address: str

    def kill_second(self) -> None:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin
        assert stdout
        stdin.write("kill\n")
        stdin.flush()
        assert stdout.readline() == "gone\n"

    def kill_an_actor(self, name: str) -> None:
        """Its process, as the kernel does where memory is short."""
        os.kill(self.actors(name)[0], signal.SIGKILL)

    def actors(self, name: str) -> list[int]:
        """Process ids of this cluster's; Ray calls them ray::NAME."""
        processes = dict(_processes())
        return [
            pid
            for pid, (title, _) in processes.items()
            if title.startswith(f"ray::{name}") and self._owns(pid, processes)
        ]

    def _owns(self, pid: int, all_there: Mapping[int, tuple[str, int]]) -> bool:
        while pid in all_there and pid != self.process.pid:
            pid = all_there[pid][1]
        return pid == self.process.pid


@contextmanager
def ray_nodes() -> Iterator[RayNodes]:
    process = subprocess.Popen(
        [sys.executable, "-c", _NODES], cwd=ROOT, env=os.environ | ENVIRONMENT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    assert process.stdin
    try:
        address = _address(process.stdout)
        yield RayNodes(process, address)
    finally:
        process.stdin.close()
        process.wait(PATIENCE)
        process.stdout.close()


def _address(stdout: IO[str]) -> str:
    """Ray prints other lines, too."""
    while not (line := stdout.readline().strip()).replace(".", "").replace(":", "").isdecimal():
        assert line
    return line


def _processes() -> Iterator[tuple[int, tuple[str, int]]]:
    """Title and parent by process id."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):
                status = (folder / "stat").read_text().rpartition(")")[2].split()
                yield int(folder.name), ((folder / "cmdline").read_bytes().decode(errors="replace"), int(status[1]))
