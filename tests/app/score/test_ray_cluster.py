"""Which worker makes which row, and what comes of those that die or would answer otherwise; without a cluster."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from ray.exceptions import ActorDiedError, RayTaskError

from app.__main__ import main
from app.score.cli import score_arguments
from app.score.errors import NoVerdictError, StoppedError, UsageError
from app.score.journal import Run
from app.score.local import choose
from app.score.ray_cluster import RayCluster, Share, shares_of
from app.score.ray_worker import RayWorker, Work
from app.score.row import Row
from app.settings import Settings

T = TypeVar("T")
RUN = Run("widget", 1, "local", "float32")


def raised(error: Exception) -> RayTaskError:
    return RayTaskError("row", "Traceback …", error)  # type: ignore[no-untyped-call]


@dataclass
class Actor:
    """Stands in for Ray's handle: what it does with a file is the test's."""

    make: Callable[[str], Row | Exception]
    opens: list[Run | Exception] = field(default_factory=lambda: [RUN] * 100)
    """What comes of its start, and of each start after a death."""
    made: list[str] = field(default_factory=list)

    @property
    def row(self) -> Any:
        async def remote(file: str, run: Run) -> Row:
            await asyncio.sleep(0.001)
            self.made.append(file)
            return _or_raise(self.make(file))

        return SimpleNamespace(remote=remote)

    @property
    def ready(self) -> Any:
        async def remote() -> Run:
            return _or_raise(self.opens.pop(0) if self.opens else ActorDiedError())

        return SimpleNamespace(options=lambda max_task_retries: SimpleNamespace(remote=remote))


def _or_raise(outcome: T | Exception) -> T:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


async def rows(files: list[str], *actors: Actor, jobs: int = 2) -> list[Row]:
    cluster = RayCluster(False, lambda _: None)
    for number, actor in enumerate(actors):
        cluster.add(actor, f"10.0.0.{number}", jobs)
    await cluster.run
    return list(await asyncio.wait_for(asyncio.gather(*map(cluster.row, files)), 10))


@pytest.mark.anyio
async def test_all_workers_are_given_files() -> None:
    actors = [Actor(Row), Actor(Row)]
    names = [str(number) for number in range(20)]
    assert [row.file for row in await rows(names, *actors)] == names
    assert min(len(actor.made) for actor in actors) >= 5


@pytest.mark.anyio
async def test_what_a_worker_had_when_it_died_is_made_by_others() -> None:
    dying = Actor(lambda _: ActorDiedError(), opens=[RUN])
    living = Actor(Row)
    names = [str(number) for number in range(20)]
    assert [row.file for row in await rows(names, dying, living)] == names
    assert sorted(living.made) == sorted(names)


@pytest.mark.anyio
async def test_one_that_is_started_anew_goes_on() -> None:
    deaths = ["died", "died"]

    def make(file: str) -> Row | Exception:
        return ActorDiedError() if deaths and deaths.pop() else Row(file)

    assert [row.file for row in await rows(["a", "b", "c"], Actor(make))] == ["a", "b", "c"]


@pytest.mark.anyio
async def test_a_file_that_workers_die_of_stops_the_run() -> None:
    """As otherwise it would go round for ever."""

    def make(file: str) -> Row | Exception:
        return ActorDiedError() if file == "poison" else Row(file)

    with pytest.raises(StoppedError, match=r"poison: its worker on 10\.0\.0\.\d has died"):
        await rows(["a", "poison", "b"], Actor(make), Actor(make))


@pytest.mark.anyio
async def test_without_workers_the_run_stops() -> None:
    dying = [Actor(lambda _: ActorDiedError(), opens=[RUN]) for _ in range(2)]
    with pytest.raises(StoppedError, match="no machine of the Ray cluster has a worker any more"):
        await rows(["a", "b", "c"], *dying)


@pytest.mark.anyio
async def test_a_machine_that_cannot_begin_is_named() -> None:
    with pytest.raises(UsageError, match=r"10\.0\.0\.0: parts is not there"):
        await rows(["a"], Actor(Row, opens=[raised(UsageError("parts is not there"))]))


@pytest.mark.anyio
async def test_what_stops_a_worker_stops_the_run() -> None:
    """An engine that fails; a disk that is full."""
    for error in (StoppedError("the engine failed"), OSError(28, "No space left on device")):
        with pytest.raises(StoppedError, match=r"10\.0\.0\.0: .*(engine failed|No space left)"):
            await rows(["a"], Actor(lambda _, error=error: raised(error)))  # type: ignore[misc]


@pytest.mark.anyio
async def test_a_machine_without_the_mount_makes_no_untrue_row(tmp_path: Path) -> None:
    """What isn't readable there, and is here, isn't said to be unreadable."""

    def unreadable(file: str) -> Row:
        return Row.of_error(file, NoVerdictError("unreadable-file", "can't be read"))

    (tmp_path / "a.png").touch()
    with pytest.raises(StoppedError, match=r"a\.png: 10\.0\.0\.0 can't read it, though it can be read here"):
        await rows([str(tmp_path / "a.png")], Actor(unreadable))
    (row,) = await rows([str(tmp_path / "b.png")], Actor(unreadable))
    assert row.error == "unreadable-file"


def node(name: str, cpus: float, gpus: float = 0, *, alive: bool = True) -> dict[str, Any]:
    resources = {"CPU": cpus, "memory": 1e9} | ({"GPU": gpus} if gpus else {})
    return {"NodeID": name, "Alive": alive, "NodeManagerAddress": f"10.0.0.{name}", "Resources": resources}


def test_workers_for_the_cpus_of_every_machine() -> None:
    nodes = [node("1", 2.0), node("2", 20.0), node("3", 0.0), node("4", 4.0, alive=False)]
    shares = [Share("1", "10.0.0.1", 2, 0), *[Share("2", "10.0.0.2", 6, 0)] * 3]
    assert shares_of(nodes, "auto") == shares_of(nodes, "cpu") == ("cpu", shares)
    assert shares_of(nodes, "cuda") == ("cuda", [])


def test_workers_for_every_gpu_where_there_are_any() -> None:
    nodes = [node("1", 2.0), node("2", 9.0, 2.0)]
    assert shares_of(nodes, "auto") == ("cuda", [Share("2", "10.0.0.2", 4, 1)] * 2)
    assert shares_of(nodes, "cpu") == ("cpu", [Share("1", "10.0.0.1", 2, 0), *[Share("2", "10.0.0.2", 4, 0)] * 2])


@pytest.mark.anyio
async def test_a_worker_that_would_answer_otherwise(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine may have taken another variant."""
    monkeypatch.chdir(tmp_path)  # which a worker changes
    settings = Settings(store=store, device="cpu")
    work = Work(settings, choose(settings, "widget", 2), "none", None, [str(tmp_path)], str(tmp_path))
    worker = RayWorker(work, 1_000, 2)
    run = await worker.ready()
    assert (run.model, run.version) == ("widget", 2)
    with pytest.raises(StoppedError, match=r"it would answer by .*: name --device and --variant"):
        await worker.row("a.png", Run("widget", 2, "local", "other"))
    assert (await worker.row("a.png", run)).error == "unreadable-file"
    await worker._until_it_ends.aclose()


@pytest.mark.anyio
async def test_a_worker_on_a_machine_without_the_files(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(store=store, device="cpu")
    choice = choose(settings, "widget", 2)
    with pytest.raises(UsageError, match="nowhere is not there"):
        await RayWorker(Work(settings, choice, "none", None, ["nowhere"], str(tmp_path)), 1_000, 2).ready()
    with pytest.raises(UsageError, match=r"the folder .*gone can't be entered: No such file"):
        await RayWorker(Work(settings, choice, "none", None, ["."], str(tmp_path / "gone")), 1_000, 2).ready()


def test_jobs_are_of_each_worker() -> None:
    common = ["parts", "--out", "v.csv"]
    assert score_arguments([*common, "--ray"]).jobs is None
    assert score_arguments([*common, "--ray", "host:6379", "--jobs", "3"]).jobs == 3
    assert score_arguments(common).jobs >= 4


def test_called_wrongly(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["score", str(store), "--model", "widget", "--out", str(tmp_path / "v.csv")]
    with pytest.raises(SystemExit):
        main([*command, "--ray", "--server", "http://localhost:1"])
    assert "--ray and --server exclude each other" in capsys.readouterr().err
