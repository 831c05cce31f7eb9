"""What tests of every package may need."""

import gc
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Final, TypeVar

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from model.cpus import available_cpus

FOLDER: Final = Path(__file__).parent
WHOLE: Final = "test_end_to_end.py"
SKIPPED_IN_CI: Final = {"needs a CUDA device"}
_SLOW: Final = """
    app/page/test_appearance.py app/page/test_decide.py app/page/test_inspect.py app/page/test_live.py
    app/fleet/test_stations.py app/page/test_models.py app/page/test_review.py
    app/records/test_postgresql.py app/records/test_process.py app/sandbox/test_pool.py app/score/test_command.py
    app/score/test_ray.py app/score/test_remote.py app/test_bad_uploads.py app/test_dashboards.py
    app/test_docs.py app/test_docs_page.py app/test_fuzz.py
    app/test_gateway.py app/test_http_protocol.py app/test_load.py
    app/test_log_backlog.py app/test_network.py app/test_openapi.py app/test_ray_serve.py app/test_senders.py
    app/test_stalled_store.py app/test_start.py app/test_stderr.py app/test_stop.py app/test_tracing.py
    app/test_v2_client.py app/watch/test_command.py examples/test_plc.py model/test_drafts.py model/test_graphs.py
    model/test_image_damage.py model/test_image_limits.py test_alerts.py test_calls_nobody.py test_compose.py
    test_end_to_end.py test_kubernetes.py
    test_offline.py test_other_systems.py test_packaging.py
    training/estimators/test_fine_tuning.py training/pipeline/test_leakage.py training/pipeline/test_pipeline.py
    training/test_calls_nobody.py training/test_cli.py training/test_cross_validation.py training/test_fit.py
    training/test_learning_curve.py training/test_recalibrate.py
"""
SLOW: Final = {FOLDER / name for name in _SLOW.split()}
"""Files whose tests start processes, train, or decode what is as large as may be: `make test-fast` is without."""


Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return in_ci((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return in_ci((yield))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What a file that isn't run would import takes seconds, too."""
    return True if config.option.markexpr == "not slow" and collection_path in SLOW else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that train a whole product come first, then the slow ones: short ones fill what time is left."""
    items.sort(key=lambda item: (item.path.name != WHOLE, item.path not in SLOW))
    for item in items:
        if item.path in SLOW:
            item.add_marker("slow")


class ByFile(LoadScopeScheduling):
    """A file's tests go to one process, as they share what is slow to make; of WHOLE, those of a product.

    (xdist's own groups, `--dist=loadgroup`, say nothing to pytest 9.2.)
    """

    def _split_scope(self, nodeid: str) -> str:
        file, _, name = nodeid.partition("::")
        return file + name.partition("[")[2] if file.endswith(WHOLE) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    return ByFile(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than CPUs: tests that wait for a process, or for a deadline to pass, leave theirs to others."""
    return available_cpus() + 1


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What has been imported stays: the collector needn't look at it after every file."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def everything_is_closed() -> Iterator[None]:
    """What a file's tests have left open is an error of its last one, not of whichever the collector finds it in."""
    yield
    gc.collect()


def in_ci(report: Report) -> Report:
    """In CI (the environment variable of that name) what isn't tested has failed."""
    if os.environ.get("CI") and report.skipped and isinstance(report.longrepr, tuple):  # not an expected failure
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason not in SKIPPED_IN_CI:
            report.outcome, report.longrepr = "failed", f"not tested: {reason}"
    return report


@pytest.fixture
def make_unreadable(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let listing any folder of that name fail: permissions wouldn't bind tests that run as root."""
    scan = os.scandir

    def make(name: str) -> None:
        def scandir(path: Path) -> object:
            if Path(path).name == name:
                raise PermissionError(13, "Permission denied", str(path))
            return scan(path)

        monkeypatch.setattr(os, "scandir", scandir)

    return make
