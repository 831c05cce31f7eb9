"""Counted by glibc itself, in a process of its own: its arenas can only become more."""

import ctypes
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="needs glibc")

PROGRAM = """
import ctypes, sys, threading
from app.memory import limit_arenas
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.fclose.argtypes = [ctypes.c_void_p]
if sys.argv[1] == "limited":
    limit_arenas()
together = threading.Barrier(12)
def work():
    together.wait()
    libc.malloc(1000)
    together.wait()
threads = [threading.Thread(target=work) for _ in range(12)]
for thread in threads: thread.start()
for thread in threads: thread.join()
out = libc.fopen(b"/dev/stdout", b"w")
libc.malloc_info(0, out)
libc.fclose(out)
"""


def arenas(mode: str, **environment: str) -> int:
    without = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    command = [sys.executable, "-c", PROGRAM, mode]
    found = subprocess.run(command, env=without | environment, capture_output=True, text=True, check=True)
    return found.stdout.count("<heap nr=")


def test_threads_share_arenas() -> None:
    assert arenas("as it is") > 2
    assert 1 <= arenas("limited") <= 2


def test_the_environment_has_its_say() -> None:
    assert arenas("limited", MALLOC_ARENA_MAX="4") in (3, 4)
