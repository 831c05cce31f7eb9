import os
from pathlib import Path

import pytest

from model.cpus import available_cpus

ALLOWED = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("content", "cpus"),
    [
        ("50000 100000\n", 1),
        ("100000 100000\n", 1),
        ("max 100000\n", ALLOWED),
        ("99000000 100000\n", ALLOWED),
        ("", ALLOWED),
    ],
)
def test_cgroup_v2(tmp_path: Path, content: str, cpus: int) -> None:
    (tmp_path / "cpu.max").write_text(content)
    assert available_cpus(tmp_path) == cpus


@pytest.mark.parametrize(("quota", "cpus"), [("100000", 1), ("-1", ALLOWED)])
def test_cgroup_v1(tmp_path: Path, quota: str, cpus: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert available_cpus(tmp_path) == cpus


def test_no_cgroup(tmp_path: Path) -> None:
    assert available_cpus(tmp_path) == ALLOWED
