"""Quotas of a made-up machine's control groups; the scheduler's part is this machine's own."""

import os
from pathlib import Path

import pytest

from model import cpus as module
from model.cpus import agree_to, available_cpus, quota

ALLOWED = len(os.sched_getaffinity(0))
V2 = "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw\n"
V1 = "32 31 0:29 {root} /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Its root directory, with mounts and the process's groups still to be written."""
    (tmp_path / "proc/self").mkdir(parents=True)
    return tmp_path


def write(machine: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (machine / name).parent.mkdir(parents=True, exist_ok=True)
        (machine / name).write_text(content)
    return machine


def v2(machine: Path, own: str, limits: dict[str, str], mounts: str = V2) -> Path:
    """`limits`: cpu.max by group below the mount."""
    files = {f"sys/fs/cgroup/{group}/cpu.max": text for group, text in limits.items()}
    return write(machine, {"proc/self/mountinfo": mounts, "proc/self/cgroup": f"0::{own}\n"} | files)


def v1(machine: Path, own: str, limits: dict[str, tuple[str, str]], root: str = "/") -> Path:
    """`limits`: quota and period by group below the mount; `root`: what of the hierarchy is mounted."""
    point = "sys/fs/cgroup/cpu,cpuacct"
    files = {
        f"{point}/{group}/cpu.cfs_{name}_us": text
        for group, texts in limits.items()
        for name, text in zip(("quota", "period"), texts, strict=True)
    }
    groups = f"5:memory:/elsewhere\n4:cpu,cpuacct:{own}\n1:name=systemd:/init\n"
    return write(machine, {"proc/self/mountinfo": V1.format(root=root), "proc/self/cgroup": groups} | files)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50000 100000\n", 0.5),
        ("250000 100000\n", 2.5),
        ("max 100000\n", None),
        ("100000 0\n", None),
        ("-1 100000\n", None),
        ("nonsense\n", None),
        ("", None),
    ],
)
def test_the_group_of_a_container_is_the_root_that_it_sees(machine: Path, text: str, expected: float | None) -> None:
    assert quota(v2(machine, "/", {".": text})) == expected


def test_the_quota_of_the_own_group_counts(machine: Path) -> None:
    limits = {"system.slice/camspector.service": "150000 100000", "system.slice/other.service": "50000 100000"}
    assert quota(v2(machine, "/system.slice/camspector.service", limits)) == 1.5


@pytest.mark.parametrize(("outer", "inner", "expected"), [("100000", "300000", 1), ("300000", "100000", 1)])
def test_the_smallest_quota_of_all_groups_around_it_counts(
    machine: Path, outer: str, inner: str, expected: float
) -> None:
    limits = {"a": f"{outer} 100000", "a/b": "max 100000", "a/b/c": f"{inner} 100000"}
    assert quota(v2(machine, "/a/b/c", limits)) == expected


@pytest.mark.parametrize("own", ["/docker/0123/deeper", "/../0123", "/docker/.."])
def test_a_group_that_is_not_visible_leaves_the_mount(machine: Path, own: str) -> None:
    assert quota(v2(machine, own, {".": "200000 100000"})) == 2


@pytest.mark.parametrize(("text", "expected"), [("150000", 1.5), ("-1", None), ("", None)])
def test_the_first_version(machine: Path, text: str, expected: float | None) -> None:
    assert quota(v1(machine, "/docker/0123", {"docker/0123": (text, "100000")})) == expected


def test_the_first_version_counts_outer_groups_too(machine: Path) -> None:
    limits = {"kubepods": ("400000", "100000"), "kubepods/pod7": ("25000", "10000"), "kubepods/pod7/c": ("-1", "1")}
    assert quota(v1(machine, "/kubepods/pod7/c", limits)) == 2.5


def test_a_container_that_has_its_own_group_mounted(machine: Path) -> None:
    """Docker without namespaces of groups: the process is told a path of the host, and sees only what is below it."""
    assert quota(v1(machine, "/docker/0123", {".": ("300000", "100000")}, root="/docker/0123")) == 3
    assert quota(v1(machine, "/docker/0123/sub", {"sub": ("100000", "100000")}, root="/docker/0123")) == 1


def test_both_versions_at_once(machine: Path) -> None:
    v1(machine, "/a", {"a": ("300000", "100000")})
    unified = "41 31 0:38 / /sys/fs/cgroup/unified rw shared:3 - cgroup2 cgroup2 rw\n"
    groups = "4:cpu,cpuacct:/a\n0::/a\n"
    write(machine, {"proc/self/mountinfo": V1.format(root="/") + unified, "proc/self/cgroup": groups})
    assert quota(machine) == 3
    write(machine, {"sys/fs/cgroup/unified/a/cpu.max": "100000 100000"})
    assert quota(machine) == 1


def test_another_controller_with_cpu_in_its_name_is_ignored(machine: Path) -> None:
    mounts = "35 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
    files = {"sys/fs/cgroup/cpuset/cpu.cfs_quota_us": "100000", "sys/fs/cgroup/cpuset/cpu.cfs_period_us": "100000"}
    groups = "3:cpuset:/\n"
    assert quota(write(machine, {"proc/self/mountinfo": mounts, "proc/self/cgroup": groups} | files)) is None


@pytest.mark.parametrize("mounts", ["", "31 23 0:28\n", "a - b\n", V2])
def test_no_group_that_can_be_read(machine: Path, mounts: str) -> None:
    assert quota(machine) is None
    assert quota(write(machine, {"proc/self/mountinfo": mounts})) is None
    assert quota(write(machine, {"proc/self/cgroup": "nonsense\n\n0:\n"})) is None


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("1000 100000", 1),
        ("100000 100000", 1),
        ("100001 100000", min(2, ALLOWED)),
        ("99000000 100000", ALLOWED),
        ("max 100000", ALLOWED),
    ],
)
def test_a_share_of_a_cpu_counts_as_one(machine: Path, text: str, cpus: int) -> None:
    assert available_cpus(v2(machine, "/", {".": text})) == cpus


def test_a_share_that_was_agreed_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_shares", [])
    agree_to(1)
    assert available_cpus() == 1
    agree_to(1_000)
    assert available_cpus() == 1
