"""What a codec process may use, held by the operating system."""

import math
import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

CAN_CONFINE: Final = sys.platform.startswith("linux")
"""Whether this system holds processes to limits of address space, and tells what processor time others have used."""
BYTES_PER_PIXEL: Final = 22
"""That decoding, resizing and drawing hold at once, at most: WebP does (benchmarks/codec_memory.py)."""
_BASE_BYTES: Final = 128_000_000
"""For everything that doesn't grow with the image."""


@dataclass(frozen=True)
class Limits:
    """Of one image."""

    memory_bytes: int
    """On top of what the process has when it starts."""
    cpu_seconds: int
    """To decode; to decode and draw it may take three times as long."""

    @staticmethod
    def of(max_pixels: int, max_bytes: int) -> "Limits":
        """Enough for every sound image that the settings let in."""
        return Limits(BYTES_PER_PIXEL * max_pixels + 3 * max_bytes + _BASE_BYTES, 10)


def confine(limits: Limits) -> None:
    """For a process that has all it needs: it opens no file and no socket from now on, and starts no program. Where the
    whole system, or the container, is out of memory, it is the first that is ended."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # /proc may be read-only
        file.write("1000")
    memory = _address_space() + limits.memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(kind, (0, 0))


def allow_cpu(seconds: int) -> None:
    """From now on; beyond it the system ends the process (SIGXCPU)."""
    limit = math.ceil(time.process_time()) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


def _address_space() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
