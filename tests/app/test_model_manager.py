"""What is loaded as the store changes."""

import json
import shutil
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from app.models.model_manager import ModelManager
from app.settings import Settings
from tests.support.artifacts import resum

LoadedVersions = dict[str, list[int]]


@pytest.fixture
def own_store(store: Path, tmp_path: Path) -> Path:
    """An own store with widget 1 in it, as links to the shared one."""
    put(store, tmp_path / "own_store", "widget", 1)
    return tmp_path / "own_store"


def put(store: Path, own_store: Path, model: str, version: int) -> Path:
    """A copy of widget 1 under another name; weights are linked, the manifest is copied."""
    target = own_store / model / str(version)
    shutil.copytree(
        store / "widget" / "1",
        target,
        copy_function=lambda source, copy: (
            shutil.copy(source, copy) if source.endswith(".json") else Path(copy).hardlink_to(source)
        ),
    )
    return target


def breaking(version: Path) -> Path:
    manifest = json.loads((version / "manifest.json").read_text())
    manifest["variants"][0]["golden"]["log_odds"]["golden/0.png"] += 1
    (version / "manifest.json").write_text(json.dumps(manifest))
    resum(version)
    return version


def manager(own_store: Path, **settings: object) -> ModelManager:
    return ModelManager(Settings(store=own_store, device="cpu", **settings), CollectorRegistry())  # type: ignore[arg-type]


def loaded(manager: ModelManager) -> LoadedVersions:
    return {name: sorted(model.loaded) for name, model in manager.snapshot.models.items()}


def unready(manager: ModelManager) -> list[str]:
    return manager.unready()


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged since the last call."""
    messages = [record.message for record in caplog.records if record.name.startswith("app.models.")]
    caplog.clear()
    return messages


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")


def test_missing_store_is_waited_for(store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = manager(tmp_path / "later")
    empty = f"no model is loaded yet: the store {tmp_path / 'later'} is empty, or has not been read"
    assert unready(held) == [empty]
    held.reconciler.poll()
    held.reconciler.poll()
    assert unready(held) == [f"no model is loaded yet: the store {tmp_path / 'later'} is not there"]
    assert said(caplog) == [f"the store {tmp_path / 'later'} is not there"]
    (tmp_path / "later").mkdir()
    held.reconciler.poll()
    assert unready(held) == [empty]
    assert said(caplog) == [f"resolved: the store {tmp_path / 'later'} is not there"]
    put(store, tmp_path / "later", "widget", 1)
    held.reconciler.poll()
    assert (loaded(held), unready(held)) == ({"widget": [1]}, [])


def test_what_is_no_model_is_named_once(store: Path, own_store: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = manager(own_store)
    (own_store / "lost+found").mkdir()
    (own_store / "widget" / "v3").mkdir()
    held.reconciler.poll()
    held.reconciler.poll()
    (own_store / "widget" / "v3").rmdir()
    held.reconciler.poll()
    root, home = (f"in {folder} these are no" for folder in (own_store, own_store / "widget"))
    assert [line for line in said(caplog) if "left alone" in line] == [
        f"{root} models and are left alone: lost+found",
        f"{home} versions and are left alone: v3",
        f"resolved: {home} versions and are left alone: v3",
    ]
    assert (loaded(held), unready(held)) == ({"widget": [1]}, [])


def test_newest_versions_stay_loaded(store: Path, own_store: Path) -> None:
    held = manager(own_store, versions_kept=2)
    held.reconciler.poll()
    first = held.snapshot.find("widget")
    for version in (2, 3):
        put(store, own_store, "widget", version)
    held.reconciler.poll()
    assert loaded(held) == {"widget": [2, 3]}
    assert held.snapshot.find("widget").version == 3
    assert first.version == 1  # whoever has it keeps it
    assert held.snapshot.models["widget"].available == (1, 2, 3)


def test_what_is_loaded_is_not_loaded_again(own_store: Path) -> None:
    held = manager(own_store)
    held.reconciler.poll()
    before = held.snapshot.find("widget").detector
    held.reconciler.poll()
    assert held.snapshot.find("widget").detector is before


def test_broken_version_is_named_once_and_replaces_nothing(
    store: Path, own_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    held = manager(own_store, versions_kept=1)
    held.reconciler.poll()
    breaking(put(store, own_store, "widget", 2))
    held.reconciler.poll()
    held.reconciler.poll()
    assert (loaded(held), unready(held)) == ({"widget": [1]}, [])
    assert "gives golden/0.png log-odds of" in held.snapshot.models["widget"].refused[2]
    assert len([record for record in caplog.records if "widget version 2 is refused" in record.message]) == 1


def test_refused_version_is_tried_again_when_its_files_change(store: Path, own_store: Path) -> None:
    broken = breaking(put(store, own_store, "widget", 2))
    held = manager(own_store)
    held.reconciler.poll()
    assert loaded(held) == {"widget": [1]}
    shutil.copy(store / "widget" / "1" / "manifest.json", broken)
    resum(broken)
    held.reconciler.poll()
    assert loaded(held) == {"widget": [1, 2]}
    assert held.snapshot.models["widget"].refused == {}


def test_refused_version_that_is_removed_is_forgotten(store: Path, own_store: Path) -> None:
    broken = breaking(put(store, own_store, "widget", 2))
    held = manager(own_store)
    held.reconciler.poll()
    shutil.rmtree(broken)
    held.reconciler.poll()
    assert held.snapshot.models["widget"].refused == {}


def test_unready_names_the_model_that_is_broken_from_the_start(store: Path, own_store: Path) -> None:
    breaking(put(store, own_store, "gadget", 1))
    held = manager(own_store)
    held.reconciler.poll()
    assert loaded(held) == {"gadget": [], "widget": [1]}
    (reason,) = unready(held)
    assert "model 'gadget' has no version that serves: " in reason
    assert "golden/0.png" in reason


def test_broken_model_that_comes_later_leaves_the_service_ready(store: Path, own_store: Path) -> None:
    held = manager(own_store)
    held.reconciler.poll()
    breaking(put(store, own_store, "gadget", 1))
    held.reconciler.poll()
    assert unready(held) == []


def test_default_model_is_required(own_store: Path) -> None:
    held = manager(own_store, default_model="gadget")
    held.reconciler.poll()
    assert unready(held) == ["the default model 'gadget' is not in the store; there are: widget"]


def test_removing_the_newest_version_rolls_back(store: Path, own_store: Path) -> None:
    newest = put(store, own_store, "widget", 2)
    held = manager(own_store)
    held.reconciler.poll()
    shutil.rmtree(newest)
    held.reconciler.poll()
    assert loaded(held) == {"widget": [1]}


def test_serving_goes_on_without_the_store(store: Path, own_store: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = manager(own_store)
    held.reconciler.poll()
    said(caplog)
    shutil.rmtree(own_store)
    held.reconciler.poll()
    assert said(caplog) == [f"the store {own_store} is not there"]
    own_store.write_text("not a folder")
    held.reconciler.poll()
    assert "can't be read" in " ".join(said(caplog))
    assert (loaded(held), unready(held)) == ({"widget": [1]}, [])
    own_store.unlink()
    put(store, own_store, "widget", 1)
    held.reconciler.poll()
    (message,) = said(caplog)
    assert message.startswith("resolved: ")
    assert "can't be read" in message


def test_serving_version_is_logged_when_it_changes(
    store: Path, own_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    held = manager(own_store)
    held.reconciler.poll()
    assert said(caplog)[-1] == "model widget: version 1 serves now"
    newest = put(store, own_store, "widget", 2)
    held.reconciler.poll()
    assert said(caplog)[-1] == "model widget: version 2 serves now (previous: 1)"
    shutil.rmtree(newest)
    held.reconciler.poll()
    held.reconciler.poll()
    assert said(caplog) == ["model widget: version 1 serves now (previous: 2)"]


def test_model_that_vanishes_goes_on_serving(store: Path, own_store: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = manager(own_store)
    put(store, own_store, "gadget", 1)
    held.reconciler.poll()
    said(caplog)
    shutil.rmtree(own_store / "gadget")
    held.reconciler.poll()
    held.reconciler.poll()
    assert said(caplog) == ["model gadget is not in the store any more; version 1 goes on serving"]
    assert (loaded(held), unready(held)) == ({"gadget": [1], "widget": [1]}, [])
    assert held.snapshot.models["gadget"].available == ()


def test_broken_model_that_vanishes_is_forgotten(
    store: Path, own_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    breaking(put(store, own_store, "gadget", 1))
    held = manager(own_store)
    held.reconciler.poll()
    assert unready(held) != []
    said(caplog)
    shutil.rmtree(own_store / "gadget")
    held.reconciler.poll()
    assert (loaded(held), unready(held)) == ({"widget": [1]}, [])
    assert said(caplog) == ["model gadget is not in the store any more"]


def test_second_model_is_the_default_of_nobody(store: Path, own_store: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = manager(own_store)
    held.reconciler.poll()
    (own_store / "empty").mkdir()
    (own_store / "hollow" / "1").mkdir(parents=True)
    held.reconciler.poll()
    assert held.snapshot.default(None) == "widget"
    shutil.rmtree(own_store / "hollow")
    held.reconciler.poll()
    assert loaded(held) == {"widget": [1]}
    said(caplog)
    put(store, own_store, "gadget", 1)
    held.reconciler.poll()
    held.reconciler.poll()
    (warning,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warning == ("POST /predict is 404 while several models are loaded (gadget, widget): set default_model")


def test_no_warning_of_a_second_model_where_the_default_is_set(
    store: Path, own_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(store, own_store, "gadget", 1)
    manager(own_store, default_model="widget").reconciler.poll()
    assert "POST /predict" not in caplog.text


@pytest.mark.parametrize(
    ("folder", "default_model", "expected"),
    [
        ("widget", None, {"widget": [2, 1]}),
        ("widget/2", None, {"widget": [2]}),
        ("widget/1", "line-3", {"line-3": [1]}),
    ],
)
def test_a_store_that_is_a_model_s_or_a_version_s_folder(
    store: Path, folder: str, default_model: str | None, expected: dict[str, list[int]]
) -> None:
    held = ModelManager(Settings(store=store / folder, device="cpu", default_model=default_model), CollectorRegistry())
    held.reconciler.poll()
    assert {name: [*model.loaded] for name, model in held.snapshot.models.items()} == expected
    assert held.unready() == []
