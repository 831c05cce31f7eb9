"""Versions from a central store to two stations': whole or not at all, whatever is cut off or changed."""

import hashlib
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem

from app.__main__ import main
from app.fleet.remote_store import RemoteStore
from app.models.model_manager import ModelManager
from app.monitoring.metrics import Metrics
from app.settings import Settings
from model.artifact import SUMS, complete_sums
from model.errors import RemoteStoreError
from model.recipes import ProductRecipe, encode
from model.serving import Serving
from model.signatures import SigningKey
from model.store import Store
from tests.support.artifacts import publish
from tests.support.http_index import http_index
from tests.support.signing import key_files


class Station:
    """A service's store, and what of it would serve."""

    def __init__(self, root: Path, trusted: Path | None) -> None:
        self.root = root
        root.mkdir(parents=True)
        self.manager = ModelManager(Settings(store=root, device="cpu", trusted_keys=trusted), Metrics().registry)

    def serving(self) -> int | None:
        self.manager.reconciler.poll()
        state = self.manager.snapshot.models.get("bolt")
        return state.serving.version if state and state.serving else None

    def refused(self) -> dict[int, str]:
        return dict(self.manager.snapshot.models["bolt"].refused)

    def pull(self, url: object, *flags: str) -> int:
        return main(["pull", "--from", str(url), "--store", str(self.root), *flags])


def signed(store: Path, private: Path, slope: float = 10.0) -> Path:
    """A new version with a report."""
    version = publish(store, "bolt", slope=slope)
    (version / "report").mkdir()
    (version / "report" / "report.html").write_text(f"slope {slope}")
    complete_sums(version)
    SigningKey.read(private).sign(version)
    return version


def digest(folder: Path) -> str:
    """Of all files' names and contents."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    content = [str(file.relative_to(folder)).encode() + file.read_bytes() for file in files]
    return hashlib.sha256(b"".join(content)).hexdigest()


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    return key_files(tmp_path)


@pytest.fixture
def central(tmp_path: Path, keys: tuple[Path, Path]) -> Path:
    """The trainer's store, with a signed version."""
    signed(tmp_path / "trainer", keys[0])
    return tmp_path / "trainer"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """The address of `tmp_path`/hub over HTTP."""
    with http_index(tmp_path / "hub") as index:
        yield index.url


def test_two_stations_follow_a_hub(
    central: Path, keys: tuple[Path, Path], index: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Push, pull by folder and by HTTP, pin, roll back; what isn't signed is refused by name, and nothing is lost."""
    hub, (private, public) = tmp_path / "hub", keys
    push = ["push", "--store", str(central), "--to", str(hub)]
    first, second = Station(tmp_path / "first", public), Station(tmp_path / "second", public)
    assert main(push) == first.pull(hub) == second.pull(index) == 0
    assert (first.serving(), second.serving()) == (1, 1)
    assert digest(first.root / "bolt" / "1") == digest(second.root / "bolt" / "1") == digest(central / "bolt" / "1")

    signed(central, private, slope=5.0)
    Store(central).set_serving("bolt", Serving(version=1))
    assert main(push) == first.pull(hub) == second.pull(index) == 0
    assert (first.serving(), second.serving()) == (1, 1)
    Store(central).set_serving("bolt", Serving())
    assert main(push) == first.pull(hub) == 0
    assert (first.serving(), second.serving()) == (2, 1)

    publish(central, "bolt", slope=3.0)
    assert main(push) == 0
    assert second.pull(index, "--trusted-keys", str(public)) == 1
    assert not (second.root / "bolt" / "3").exists()
    assert second.serving() == 2
    assert first.pull(hub) == 0  # which looks at no signature, but its service does
    assert first.serving() == 2
    assert "isn't signed, and only signed versions are trusted" in first.refused()[3]
    assert main([*push, "--version", "9", "--model", "bolt"]) == 2
    assert "no version 9" in capsys.readouterr().err


def test_cut_off_at_any_file_and_resumed(
    central: Path, keys: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for slope in (5.0, 3.0):
        signed(central, keys[0], slope)
    station, draw, fetch, fetched = Station(tmp_path / "station", None), random.Random(1), RemoteStore.fetch, []

    def cut(self: RemoteStore, target: Path, *steps: str) -> None:
        fetch(self, target, *steps)
        fetched.append(steps)
        if draw.random() < 0.3:
            target.write_bytes(target.read_bytes()[: draw.randrange(100)])
            raise ConnectionResetError("cut off")

    monkeypatch.setattr(RemoteStore, "fetch", cut)
    for _ in range(100):
        done = station.pull(central)
        for number in map(str, (1, 2, 3)):
            target = station.root / "bolt" / number
            assert not target.exists() or digest(target) == digest(central / "bolt" / number)
        if done == 0:
            break
    assert done == 0
    files = sum(path.is_file() for path in central.rglob("*/[0-9]/**/*")) - 2 * 3  # sums and signatures are read anew
    assert len(set(fetched)) == files
    assert len(fetched) < 2 * files
    assert [path.name for path in (station.root / "bolt").iterdir() if path.name.startswith(".")] == []


def test_one_byte_changed_in_any_file(central: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    """Nothing comes, and the file is named; mended, it comes."""
    version = central / "bolt" / "1"
    station = Station(tmp_path / "station", keys[1])
    for path in [path for path in version.rglob("*") if path.is_file()]:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        whole = path.read_bytes()
        path.write_bytes(content)
        assert station.pull(central, "--trusted-keys", str(keys[1])) == 1, path
        assert not (station.root / "bolt" / "1").exists(), path
        path.write_bytes(whole)
        shutil.rmtree(station.root / "bolt", ignore_errors=True)  # what was fetched before isn't fetched again
    assert station.pull(central, "--trusted-keys", str(keys[1])) == 0
    assert station.serving() == 1


def test_what_is_tampered_with_in_place_is_refused(central: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    """With sums that fit: only the signature tells."""
    station = Station(tmp_path / "station", keys[1])
    assert station.pull(central) == 0
    sums = station.root / "bolt" / "1" / SUMS
    sums.write_text(sums.read_text().replace("report/report.html", "report/elsewhere.html"))
    assert station.serving() is None
    assert "its signature is by none of the trusted keys, or it was changed" in station.refused()[1]


def test_another_version_of_the_same_number_stays(
    central: Path, keys: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    station = Station(tmp_path / "station", None)
    mine = signed(station.root, keys[0], slope=7.0)
    before = digest(mine)
    assert station.pull(central) == 1
    assert "bolt/1 is another one; it stays" in caplog.text
    assert main(["push", "--store", str(station.root), "--to", str(central)]) == 1
    assert (digest(mine), digest(central / "bolt" / "1") == before) == (before, False)


def test_serving_json_waits_for_its_version(central: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    station = Station(tmp_path / "station", None)
    assert station.pull(central) == 0
    (central / "bolt" / "serving.json").write_text('{"version": 2}')
    assert station.pull(central) == 1
    assert "it pins version 2, which isn't here" in caplog.text
    (central / "bolt" / "serving.json").write_text('{"version": "two"}')
    assert station.pull(central) == 1
    assert not (station.root / "bolt" / "serving.json").exists()
    (central / "bolt" / "serving.json").write_text('{"defect_rate": 0.01}')
    assert station.pull(central, "--no-serving") == 0
    assert not (station.root / "bolt" / "serving.json").exists()
    assert station.pull(central) == 0
    assert Store(station.root).serving("bolt").defect_rate == 0.01


def test_recipes_travel_once_all_that_they_name_is_there(
    central: Path, index: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole, by folder and by HTTP; what comes too early, or can't be read, is named, and what was here stays."""
    caplog.set_level("INFO")
    hub, station = tmp_path / "hub", Station(tmp_path / "station", None)
    push = ["push", "--store", str(central), "--to", str(hub)]
    wanted = {7: ProductRecipe("bolt", 1, 0.4), 8: ProductRecipe("bolt")}
    Store(central).set_recipes(wanted)
    assert main([*push, "--no-serving"]) == main([*push, "--model", "bolt"]) == 0
    assert not (hub / "recipes.json").exists()
    assert main(push) == station.pull(index, "--no-serving") == station.pull(index, "--model", "bolt") == 0
    assert not (station.root / "recipes.json").exists()
    assert station.pull(index) == 0
    assert Store(station.root).recipes() == wanted
    assert "recipes.json: recipes 7, 8" in caplog.text

    for early, reason in (
        ({7: ProductRecipe("bolt", 2)}, "recipe 7: model 'bolt' has no version 2"),
        ({7: ProductRecipe("nut")}, "recipe 7: no model 'nut'"),
    ):
        (hub / "recipes.json").write_bytes(encode(early))
        assert station.pull(index) == 1
        assert f"recipes.json isn't taken: {reason}" in caplog.text
        Store(central).set_recipes(early)
        assert main(push) == 1
        assert "recipes.json isn't sent: recipe 7: " in capsys.readouterr().err
    (hub / "recipes.json").write_text('{"7": {"model": "bolt", "versoin": 1}}')
    assert station.pull(index) == 1
    assert f"recipes.json isn't taken: {index}/recipes.json can't be read: " in caplog.text
    (central / "recipes.json").write_text("{")
    assert main(push) == 1
    assert "recipes.json can't be read" in capsys.readouterr().err
    assert Store(station.root).recipes() == wanted

    (station.root / "recipes.json").write_text("{")  # broken here: what the hub says is put in its place
    (station.root / "bolt" / "serving.json").write_text("{")
    (hub / "bolt" / "serving.json").write_text('{"version": 1}')
    (hub / "recipes.json").write_bytes(encode(wanted))
    assert station.pull(hub) == 0
    assert (Store(station.root).recipes(), Store(station.root).serving("bolt").version) == (wanted, 1)
    (hub / "recipes.json").unlink()
    assert station.pull(hub) == 0  # it deletes nothing
    assert Store(station.root).recipes() == wanted


@pytest.mark.parametrize("where", ["the station", "the hub"])
def test_recipes_are_absent_or_whole_when_they_are_broken_off(
    central: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    hub, station = tmp_path / "hub", Station(tmp_path / "station", None)
    push = ["push", "--store", str(central), "--to", str(hub)]
    assert main(push) == station.pull(hub) == 0
    wanted = {7: ProductRecipe("bolt", 1)}
    Store(central).set_recipes(wanted)
    if where == "the hub":
        moved, replaced = LocalFileSystem, "mv"
    else:
        assert main(push) == 0
        moved, replaced = os, "replace"

    def cut(*_: object, **__: object) -> None:
        raise ConnectionResetError("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(moved, replaced, cut)
        assert (main(push) if where == "the hub" else station.pull(hub)) == 1
    root = hub if where == "the hub" else station.root
    assert not (root / "recipes.json").exists()
    assert main(push) == station.pull(hub) == 0
    assert Store(root).recipes() == wanted
    assert sorted(path.name for path in root.iterdir()) == ["bolt", "recipes.json"]


def test_files_in_a_hub_are_no_models(central: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some servers fail where one is listed."""
    (central / "readme.md").write_text("bolts")
    (central / "bolt" / "9").write_text("no folder")
    station = Station(tmp_path / "station", None)
    remote = RemoteStore(str(central))
    assert (remote.models(), remote.versions("bolt")) == (["bolt"], [1])
    (tmp_path / "elsewhere").symlink_to(central / "bolt")
    assert RemoteStore(str(tmp_path)).models() == ["elsewhere", "station", "trainer"]
    assert station.pull(central) == 0


def test_a_hub_that_goes_does_not_hide_what_was_wrong_before(
    central: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    station, versions = Station(tmp_path / "station", None), RemoteStore.versions
    (central / "nut" / "1").mkdir(parents=True)
    (central / "bolt" / "1" / "weights.safetensors").write_bytes(b"other")

    def gone(self: RemoteStore, model: str) -> list[int]:
        if model == "nut":
            raise RemoteStoreError("the hub is gone")
        return versions(self, model)

    monkeypatch.setattr(RemoteStore, "versions", gone)
    assert station.pull(central) == 1
    assert "version 1 of model 'bolt' isn't taken: weights.safetensors is not the file" in caplog.text
    assert "the hub is gone" in caplog.text


def test_a_push_that_was_cut_off_shows_nothing_and_is_begun_anew(
    central: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, put, count = tmp_path / "hub", LocalFileSystem.put_file, 0

    def cut(self: Any, *arguments: Any, **named: Any) -> None:
        nonlocal count
        count += 1
        if count == 3:
            raise ConnectionResetError("cut off")
        put(self, *arguments, **named)

    monkeypatch.setattr(LocalFileSystem, "put_file", cut)
    push = ["push", "--store", str(central), "--to", str(hub)]
    assert main(push) == 1
    assert [path.name for path in (hub / "bolt").iterdir()] == [".push-1"]
    assert RemoteStore(str(hub)).versions("bolt") == []
    assert main(push) == 0
    assert digest(hub / "bolt" / "1") == digest(central / "bolt" / "1")
    assert [path.name for path in (hub / "bolt").iterdir()] == ["1"]


def test_keys_that_can_not_be_read_stop_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is meant to be refused would be served."""
    assert main(["serve", "--store", str(tmp_path), "--trusted-keys", str(tmp_path / "none")]) == 2
    assert f"{tmp_path / 'none'} is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (["pull", "--from", "gopher://x", "--store", "s"], 2, "gopher"),
        (["pull", "--from", "nowhere", "--store", "s"], 1, "nowhere"),
        (["pull", "--from", "trainer", "--store", "s", "--model", "nut"], 1, "no model 'nut'; there are: bolt"),
        (["pull", "--from", "trainer", "--store", "s", "--trusted-keys", "nowhere"], 2, "nowhere is missing"),
        (["pull", "--from", "x", "--store", "trainer/bolt"], 2, "name the store above it"),
        (["push", "--to", "hub", "--store", "trainer", "--version", "1"], 2, "--version needs --model"),
        (["push", "--to", "http://127.0.0.1:1/", "--store", "trainer"], 1, "model 'bolt': http"),
    ],
)
def test_what_can_not_be_done(
    arguments: list[str], status: int, reason: str, central: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == status
    assert reason in capsys.readouterr().err + caplog.text
