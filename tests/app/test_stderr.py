"""stderr that takes every line at once."""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from app.monitoring import stderr
from app.monitoring.stderr import BoundedStderr, backlog
from tests.support.process import PATIENCE, ROOT

PIPE_BYTES = 4096
LINE = "x" * 999 + "\n"


@dataclass
class Pipe:
    """What is written to it, and the end that it is read from."""

    stderr: BoundedStderr
    reader: int

    def stall(self, lines: int) -> int:
        """Fill the pipe, then write so many more. How many of them are lost."""
        for _ in range(PIPE_BYTES // len(LINE)):
            self.stderr.write(LINE)
        self.stderr.drain()
        dropped = backlog.dropped
        for number in range(lines):
            self.stderr.write(f"{number:0999d}\n")
        return backlog.dropped - dropped

    def read_until(self, last: str) -> list[str]:
        """Lines up to one that has `last` in it."""
        text = ""
        while last not in text.rpartition("\n")[0]:
            text += os.read(self.reader, PIPE_BYTES).decode()
        return text.splitlines(keepends=True)


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    """Room for 100 lines, besides those in the pipe."""
    monkeypatch.setattr(stderr, "MOST_BYTES", 100_000)
    monkeypatch.setattr(stderr, "RETRY_SECONDS", 0.01)
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    made = Pipe(BoundedStderr(writer, lambda lost, since: f"{lost} lost since {since > 1.7e9}\n"), reader)
    yield made
    made.stderr.write("end\n")
    made.read_until("end")
    made.stderr.drain()
    os.close(reader)
    os.close(writer)


def test_lines_come_out_as_they_went_in(pipe: Pipe) -> None:
    for text in ("one\n", "é\n", "\udcff\n", "last\n"):
        assert pipe.stderr.write(text) == len(text)
    assert pipe.read_until("last") == ["one\n", "é\n", "\\udcff\n", "last\n"]


def test_print_writes_to_it(pipe: Pipe) -> None:
    print("one", 2, file=pipe.stderr, flush=True)
    assert pipe.read_until("2") == ["one 2\n"]


def test_a_stalled_pipe_loses_the_newest_lines_and_names_how_many(pipe: Pipe) -> None:
    assert pipe.stall(500) == 400
    assert backlog.waiting == 100
    *lines, notice = pipe.read_until("lost")
    assert [int(line) for line in lines[-100:]] == list(range(100))
    assert notice == "400 lost since True\n"
    pipe.stderr.write("again\n")
    assert pipe.read_until("again") == ["again\n"]


def test_one_gap_however_slow_the_reader(pipe: Pipe) -> None:
    """A line that would find room while older ones wait is lost with the others."""
    assert pipe.stall(101) == 1
    os.read(pipe.reader, PIPE_BYTES)
    while backlog.waiting > 99:
        time.sleep(0.01)
    pipe.stderr.write("late\n")
    lines = pipe.read_until("lost")
    assert "late\n" not in lines
    assert lines[-1] == "2 lost since True\n"


def test_a_line_larger_than_the_backlog_is_lost(pipe: Pipe) -> None:
    pipe.stderr.write("x" * 100_001)
    assert pipe.read_until("lost") == ["1 lost since True\n"]


def test_an_error_is_waited_for(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a full disk, in the middle of a line too: nothing is lost once it takes bytes again."""
    write, errors = os.write, iter((OSError(28, "full"), 3, BlockingIOError(), 2))

    def fail(descriptor: int, line: bytes) -> int:
        error = next(errors, len(line))
        if isinstance(error, OSError):
            raise error
        return write(descriptor, line[:error])

    monkeypatch.setattr(os, "write", fail)
    pipe.stderr.write("one two\n")
    assert pipe.read_until("two") == ["one two\n"]


def test_draining_a_stalled_pipe_has_an_end(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stderr, "DRAIN_SECONDS", 0.1)
    pipe.stall(10)
    pipe.stderr.drain()
    assert backlog.waiting == 10


PROGRAM = """
import sys, threading
from app.monitoring.logs import log_to_stderr
log_to_stderr("error", "json")
class Ending:
    def __del__(self):
        raise ValueError("in a finalizer")
Ending()
thread = threading.Thread(target=lambda: 1 / 0, name="registry")
thread.start()
thread.join()
raise KeyError("in the main thread")
"""


def test_what_nobody_catches_is_in_the_log() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert run.returncode == 1
    finalizer, thread, main = (json.loads(line) for line in run.stderr.splitlines())
    assert "ValueError: in a finalizer" in finalizer["traceback"]
    assert "registry" in thread["message"]
    assert "ZeroDivisionError" in thread["traceback"]
    assert "KeyError: 'in the main thread'" in main["traceback"]
