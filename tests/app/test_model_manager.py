"""What is loaded as the store changes."""

import json
import shutil
from pathlib import Path

import pytest

from app.metrics import Metrics
from app.model_manager import ModelManager
from app.settings import Settings
from model.verdict import Thresholds
from tests.support.artifacts import resum

LoadedVersions = dict[str, list[int]]


@pytest.fixture
def shelf(store: Path, tmp_path: Path) -> Path:
    """An own store with widget 1 in it, as links to the shared one."""
    put(store, tmp_path / "shelf", "widget", 1)
    return tmp_path / "shelf"


def put(store: Path, shelf: Path, model: str, version: int) -> Path:
    """A copy of widget 1 under another name; weights are linked, the manifest is copied."""
    target = shelf / model / str(version)
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


def registry(shelf: Path, **settings: object) -> ModelManager:
    return ModelManager(Settings(store=shelf, device="cpu", **settings), Metrics())  # type: ignore[arg-type]


def loaded(registry: ModelManager) -> LoadedVersions:
    return {name: sorted(model.loaded) for name, model in registry.snapshot.models.items()}


def unready(registry: ModelManager) -> list[str]:
    return registry.waiting()


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged since the last call."""
    messages = [record.message for record in caplog.records if record.name in ("app.model_manager", "app.shelf")]
    caplog.clear()
    return messages


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")


def test_missing_store_is_waited_for(store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = registry(tmp_path / "later")
    empty = f"no model is loaded yet: the store {tmp_path / 'later'} is empty, or has not been read"
    assert unready(held) == [empty]
    held.look("cpu")
    held.look("cpu")
    assert unready(held) == [f"no model is loaded yet: the store {tmp_path / 'later'} is not there"]
    assert said(caplog) == [f"the store {tmp_path / 'later'} is not there"]
    (tmp_path / "later").mkdir()
    held.look("cpu")
    assert unready(held) == [empty]
    assert said(caplog) == [f"no longer so: the store {tmp_path / 'later'} is not there"]
    put(store, tmp_path / "later", "widget", 1)
    held.look("cpu")
    assert (loaded(held), unready(held)) == ({"widget": [1]}, [])


def test_what_is_no_model_is_named_once(store: Path, shelf: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = registry(shelf)
    (shelf / "lost+found").mkdir()
    (shelf / "widget" / "v3").mkdir()
    held.look("cpu")
    held.look("cpu")
    (shelf / "widget" / "v3").rmdir()
    held.look("cpu")
    root, home = (f"in {folder} these are no" for folder in (shelf, shelf / "widget"))
    assert [line for line in said(caplog) if "left alone" in line] == [
        f"{root} models and are left alone: lost+found",
        f"{home} versions and are left alone: v3",
        f"no longer so: {home} versions and are left alone: v3",
    ]
    assert (loaded(held), unready(held)) == ({"widget": [1]}, [])


def test_newest_versions_stay_loaded(store: Path, shelf: Path) -> None:
    held = registry(shelf, versions_kept=2)
    held.look("cpu")
    first = held.snapshot.find("widget")
    for version in (2, 3):
        put(store, shelf, "widget", version)
    held.look("cpu")
    assert loaded(held) == {"widget": [2, 3]}
    assert held.snapshot.find("widget").version == 3
    assert first.version == 1  # whoever has it keeps it
    assert held.snapshot.models["widget"].stored == (1, 2, 3)


def test_what_is_loaded_is_not_loaded_again(shelf: Path) -> None:
    held = registry(shelf)
    held.look("cpu")
    before = held.snapshot.find("widget").detector
    held.look("cpu")
    assert held.snapshot.find("widget").detector is before


def test_broken_version_is_named_once_and_replaces_nothing(
    store: Path, shelf: Path, caplog: pytest.LogCaptureFixture
) -> None:
    held = registry(shelf, versions_kept=1)
    held.look("cpu")
    breaking(put(store, shelf, "widget", 2))
    held.look("cpu")
    held.look("cpu")
    assert (loaded(held), unready(held)) == ({"widget": [1]}, [])
    assert "gives golden/0.png log-odds of" in held.snapshot.models["widget"].refused[2]
    assert len([record for record in caplog.records if "widget version 2 is refused" in record.message]) == 1


def test_refused_version_is_tried_again_when_its_files_change(store: Path, shelf: Path) -> None:
    broken = breaking(put(store, shelf, "widget", 2))
    held = registry(shelf)
    held.look("cpu")
    assert loaded(held) == {"widget": [1]}
    shutil.copy(store / "widget" / "1" / "manifest.json", broken)
    resum(broken)
    held.look("cpu")
    assert loaded(held) == {"widget": [1, 2]}
    assert held.snapshot.models["widget"].refused == {}


def test_refused_version_that_is_removed_is_forgotten(store: Path, shelf: Path) -> None:
    broken = breaking(put(store, shelf, "widget", 2))
    held = registry(shelf)
    held.look("cpu")
    shutil.rmtree(broken)
    held.look("cpu")
    assert held.snapshot.models["widget"].refused == {}


def test_unready_names_the_model_that_is_broken_from_the_start(store: Path, shelf: Path) -> None:
    breaking(put(store, shelf, "gadget", 1))
    held = registry(shelf)
    held.look("cpu")
    assert loaded(held) == {"gadget": [], "widget": [1]}
    (reason,) = unready(held)
    assert "model 'gadget' has no version that serves: " in reason
    assert "golden/0.png" in reason


def test_broken_model_that_comes_later_leaves_the_service_ready(store: Path, shelf: Path) -> None:
    held = registry(shelf)
    held.look("cpu")
    breaking(put(store, shelf, "gadget", 1))
    held.look("cpu")
    assert unready(held) == []


def test_default_model_is_required(shelf: Path) -> None:
    held = registry(shelf, default_model="gadget")
    held.look("cpu")
    assert unready(held) == ["the default model 'gadget' is not in the store; there are: widget"]


def test_removing_the_newest_version_rolls_back(store: Path, shelf: Path) -> None:
    newest = put(store, shelf, "widget", 2)
    held = registry(shelf)
    held.look("cpu")
    shutil.rmtree(newest)
    held.look("cpu")
    assert loaded(held) == {"widget": [1]}


def test_serving_goes_on_without_the_store(store: Path, shelf: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = registry(shelf)
    held.look("cpu")
    said(caplog)
    shutil.rmtree(shelf)
    held.look("cpu")
    assert said(caplog) == [f"the store {shelf} is not there"]
    shelf.write_text("not a folder")
    held.look("cpu")
    assert "can't be read" in " ".join(said(caplog))
    assert (loaded(held), unready(held)) == ({"widget": [1]}, [])
    shelf.unlink()
    put(store, shelf, "widget", 1)
    held.look("cpu")
    (message,) = said(caplog)
    assert message.startswith("no longer so: ")
    assert "can't be read" in message


def test_serving_version_is_logged_when_it_changes(store: Path, shelf: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = registry(shelf)
    held.look("cpu")
    assert said(caplog)[-1] == "model widget: version 1 serves now"
    newest = put(store, shelf, "widget", 2)
    held.look("cpu")
    assert said(caplog)[-1] == "model widget: version 2 serves now (was 1)"
    shutil.rmtree(newest)
    held.look("cpu")
    held.look("cpu")
    assert said(caplog) == ["model widget: version 1 serves now (was 2)"]


def test_model_that_vanishes_goes_on_serving(store: Path, shelf: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = registry(shelf)
    put(store, shelf, "gadget", 1)
    held.look("cpu")
    said(caplog)
    shutil.rmtree(shelf / "gadget")
    held.look("cpu")
    held.look("cpu")
    assert said(caplog) == ["model gadget is not in the store any more; version 1 goes on serving"]
    assert (loaded(held), unready(held)) == ({"gadget": [1], "widget": [1]}, [])
    assert held.snapshot.models["gadget"].stored == ()


def test_broken_model_that_vanishes_is_forgotten(store: Path, shelf: Path, caplog: pytest.LogCaptureFixture) -> None:
    breaking(put(store, shelf, "gadget", 1))
    held = registry(shelf)
    held.look("cpu")
    assert unready(held) != []
    said(caplog)
    shutil.rmtree(shelf / "gadget")
    held.look("cpu")
    assert (loaded(held), unready(held)) == ({"widget": [1]}, [])
    assert said(caplog) == ["model gadget is not in the store any more"]


def test_second_model_is_the_default_of_nobody(store: Path, shelf: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = registry(shelf)
    held.look("cpu")
    (shelf / "empty").mkdir()
    (shelf / "hollow" / "1").mkdir(parents=True)
    held.look("cpu")
    assert held.snapshot.default(None, held.required) == "widget"
    shutil.rmtree(shelf / "hollow")
    held.look("cpu")
    assert loaded(held) == {"widget": [1]}
    said(caplog)
    put(store, shelf, "gadget", 1)
    held.look("cpu")
    held.look("cpu")
    (warning,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warning == ("POST /predict is 404 while several models are loaded (gadget, widget): set default_model")


def test_no_warning_of_a_second_model_where_the_default_is_set(
    store: Path, shelf: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(store, shelf, "gadget", 1)
    registry(shelf, default_model="widget").look("cpu")
    assert "POST /predict" not in caplog.text


@pytest.mark.parametrize("setting", ["defect_rate", "thresholds"])
def test_setting_of_an_unknown_model_is_logged(shelf: Path, caplog: pytest.LogCaptureFixture, setting: str) -> None:
    held = registry(shelf, **{setting: {"widgit": 0.02, "widget": 0.02}})
    held.look("cpu")
    held.look("cpu")
    (warning,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warning == f"{setting} is set for model 'widgit', which is not in the store; there are: widget"


def test_defect_rate_of_the_line_shifts_the_log_odds(shelf: Path) -> None:
    held = registry(shelf, defect_rate={"widget": 0.01})
    held.look("cpu")
    assert held.snapshot.find("widget").detector.shift == pytest.approx(-4.595 + 0.693, abs=1e-3)


def test_thresholds_of_the_line_hold_for_every_version(store: Path, shelf: Path) -> None:
    put(store, shelf, "widget", 2)
    held = registry(shelf, thresholds={"widget": 0.9})
    held.look("cpu")
    detectors = [each.detector for each in held.snapshot.models["widget"].loaded.values()]
    assert [detector.thresholds for detector in detectors] == [Thresholds(0.9, 0.9, 0.9)] * 2


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
    held = ModelManager(Settings(store=store / folder, device="cpu", default_model=default_model), Metrics())
    held.look("cpu")
    assert {name: [*model.loaded] for name, model in held.snapshot.models.items()} == expected
    assert held.waiting() == []
