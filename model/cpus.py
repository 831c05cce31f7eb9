"""Number of CPUs that this process may use: in a container that is less than the machine has."""

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

_shares: Final[list[int]] = []


def available_cpus(root: Path = Path("/")) -> int:
    """The smallest of the CPUs that the scheduler allows, the control groups' quota, rounded up, and what the process
    has agreed to; ≥ 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = quota(root)
    return max(1, min([allowed, *_shares] if limit is None else [allowed, math.ceil(limit), *_shares]))


def agree_to(cpus: int) -> None:
    """Take no more of a machine that is shared by agreement alone, as Ray's workers do."""
    _shares.append(cpus)


def quota(root: Path = Path("/")) -> float | None:
    """The least CPUs that the process's own control group, or one around it, may use (v1 and v2; cgroups(7)).

    `root`: of the file system, for tests. None: unlimited, or no group can be read.
    """
    own = _own_groups(_read(root / "proc/self/cgroup"))
    limits = [
        limit
        for mount in _mounts(_read(root / "proc/self/mountinfo"))
        if mount.controller in own
        for group in mount.visible(own[mount.controller])
        if (limit := _limit(root / group.relative_to("/"))) is not None
    ]
    return min(limits, default=None)


@dataclass(frozen=True)
class _Mount:
    """A hierarchy of groups, or the part of one that the process sees."""

    controller: str
    """cpu; empty: version 2, where one hierarchy has all controllers."""
    root: PurePosixPath
    """The group that is mounted."""
    mount_point: PurePosixPath

    def visible(self, group: PurePosixPath) -> list[PurePosixPath]:
        """Folders of this group and of all around it; of the mount itself for a group outside it, which a container may
        be told of."""
        inside = group.is_relative_to(self.root) and ".." not in group.parts
        folder = self.mount_point / group.relative_to(self.root) if inside else self.mount_point
        return [each for each in (folder, *folder.parents) if each.is_relative_to(self.mount_point)]


def _own_groups(text: str) -> dict[str, PurePosixPath]:
    """Groups by controller, from lines as `4:cpu,cpuacct:/docker/0123`, or `0::/user.slice` of version 2."""
    lines = re.findall(r"^\d+:([^:]*):(/.*)$", text, re.MULTILINE)
    return {controller: PurePosixPath(path) for names, path in lines for controller in names.split(",")}


def _mounts(text: str) -> Iterator[_Mount]:
    """From lines as `32 31 0:29 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu` (proc_pid_mountinfo(5))."""
    for line in text.splitlines():
        mount, _, system = line.partition(" - ")
        match mount.split(), system.split():
            case [_, _, _, root, point, *_], ["cgroup2", *_]:
                yield _Mount("", PurePosixPath(root), PurePosixPath(point))
            case [_, _, _, root, point, *_], ["cgroup", _, options] if "cpu" in options.split(","):
                yield _Mount("cpu", PurePosixPath(root), PurePosixPath(point))


def _limit(group: Path) -> float | None:
    """Quota of one group alone, in CPUs."""
    text = _read(group / "cpu.max") or " ".join(_read(group / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    match text.split():
        case [limit, period] if limit.isdecimal() and period.isdecimal() and int(limit) and int(period):
            return int(limit) / int(period)
        case _:  # "max", or -1: unlimited
            return None


def _read(path: Path) -> str:
    """Empty where it can't be: no Linux, or no such controller."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
