"""Debian's PostgreSQL server, started for a test: in a folder of its own, on a free port, as a user without rights."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 120
_USER = "nobody"


def binaries() -> Path | None:
    """Folder of the newest server's programs; None: there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[4]))
    return found[-1].parent if found else None


@dataclass
class PostgreSQL:
    """A server that can be stopped and started again."""

    folder: Path
    port: int
    fsync: bool = False
    """Whether it waits for the disk: a test needn't."""

    @property
    def url(self) -> str:
        return f"postgresql://camspector@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        settings = {"listen_addresses": "127.0.0.1", "fsync": self.fsync, "max_connections": 20}
        options = f"-p {self.port} -k {self.folder} " + " ".join(
            f"-c {name}={value}" for name, value in settings.items()
        )
        self._run("pg_ctl", "-D", self.folder / "data", "-l", self.folder / "log", "-o", options, "-w", "start")

    def stop(self) -> None:
        """At once, as where the machine goes."""
        self._run("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "-w", "stop")

    def initialise(self) -> None:
        self._run("initdb", "-D", self.folder / "data", "-U", "camspector", "--auth=trust", "-E", "UTF8", "--no-sync")

    def _run(self, program: str, *arguments: object) -> None:
        folder = binaries()
        assert folder
        command = [str(folder / program), *map(str, arguments)]
        if os.getuid() == 0:  # which the server refuses to be
            command = ["setpriv", f"--reuid={_USER}", "--regid=nogroup", "--clear-groups", *command]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        done = subprocess.run(
            command,
            cwd="/",
            env=environment | {"LC_ALL": "C.UTF-8"},
            stdout=subprocess.DEVNULL,  # of a pipe the server would keep the other end
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, (self.folder / "log").read_text() if (self.folder / "log").exists() else command


@contextmanager
def running_postgresql(folder: Path, *, fsync: bool = False) -> Iterator[PostgreSQL]:
    """`folder`: new, and short: a socket's path has 107 characters at most."""
    folder.mkdir()
    if os.getuid() == 0:
        shutil.chown(folder, _USER, "nogroup")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = PostgreSQL(folder, port, fsync)
    server.initialise()
    server.start()
    try:
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.stop()
        give_up = time.monotonic() + PATIENCE
        while (folder / "data" / "postmaster.pid").exists() and time.monotonic() < give_up:
            time.sleep(0.05)
