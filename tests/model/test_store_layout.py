"""A store that is one model's folder, or one version's, as KServe and a machine of one model mount them."""

from pathlib import Path

import pytest

from model.errors import ServingError, StoreError, UnknownModelError
from model.serving import Serving
from model.store import Store


def version(folder: Path) -> Path:
    """Something with a manifest in it."""
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    return folder


@pytest.fixture
def capsule(tmp_path: Path) -> Path:
    """A model's folder: versions 2 and 10, and 11 without its manifest yet."""
    for number in (2, 10):
        version(tmp_path / "capsule" / str(number))
    (tmp_path / "capsule" / "11").mkdir()
    return tmp_path / "capsule"


def test_a_model_s_folder(capsule: Path) -> None:
    store = Store(capsule)
    assert (store.models(), store.versions("capsule")) == (["capsule"], [2, 10, 11])
    assert (store.path("capsule", 2), store.path("capsule")) == (capsule / "2", capsule / "11")
    with pytest.raises(UnknownModelError, match=r"no model 'grid' .*there are: capsule"):
        store.path("grid")


def test_a_version_s_folder(capsule: Path) -> None:
    store = Store(capsule / "10")
    assert (store.models(), store.versions("capsule"), store.path("capsule")) == (["capsule"], [10], capsule / "10")


@pytest.mark.parametrize(
    ("folder", "only", "name", "number"),
    [
        ("mnt/models", None, "models", 1),
        ("mnt/models", "capsule", "capsule", 1),
        ("mnt/models", "No Name", "models", 1),
        ("Capsule 3", None, "model", 1),
        ("Models/3", None, "model", 3),
        ("Models/3", "capsule", "capsule", 3),
    ],
)
def test_what_the_model_is_called(tmp_path: Path, folder: str, only: str | None, name: str, number: int) -> None:
    root = version(tmp_path / folder)
    store = Store(root, only)
    assert (store.models(), store.versions(name), store.path(name)) == ([name], [number], root)


def test_a_link_means_what_it_points_to(capsule: Path, tmp_path: Path) -> None:
    link = tmp_path / "current"
    link.symlink_to(capsule / "2")
    store = Store(link)
    assert (store.models(), store.versions("capsule")) == (["capsule"], [2])
    link.unlink()
    link.symlink_to(capsule / "10")
    assert store.versions("capsule") == [10]


def test_models_may_have_numbers_for_names(tmp_path: Path) -> None:
    version(tmp_path / "4711" / "1")
    (tmp_path / "4712").mkdir()
    assert (Store(tmp_path).models(), Store(tmp_path).versions("4711")) == (["4711"], [1])


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (["capsule/manifest.json"], r"a manifest\.json, as a version has and versions, as a model has \(2, 10\)"),
        (["capsule/grid/1/manifest.json"], r"versions, as a model has \(2, 10\) and models, as a store has \(grid\)"),
        (["capsule/3/1/manifest.json"], r"versions, as a model has \(2, 10\) and models, as a store has \(3\)"),
        (["manifest.json"], r"a manifest\.json, as a version has and models, as a store has \(capsule\)"),
    ],
)
def test_what_could_be_two_things_is_refused(capsule: Path, others: list[str], said: str) -> None:
    for other in others:
        (capsule.parent / other).parent.mkdir(parents=True, exist_ok=True)
        (capsule.parent / other).write_text("{}")
    store = Store(capsule if others[0].startswith("capsule") else capsule.parent)
    with pytest.raises(StoreError, match=f"in {store.root} are {said}: name one of them"):
        store.models()
    with pytest.raises(StoreError):
        store.path("capsule")
    with pytest.raises(ServingError):
        store.serving("capsule")


@pytest.mark.parametrize("folder", [".", "10"])
def test_serving_json_is_in_the_folder_itself(capsule: Path, folder: str) -> None:
    store = Store(capsule / folder)
    store.set_serving("capsule", Serving(defect_rate=0.1))
    assert (capsule / folder / "serving.json").exists()
    assert store.serving("capsule") == Serving(defect_rate=0.1)


@pytest.mark.parametrize("folder", [".", "10"])
def test_nothing_is_published_into_it(capsule: Path, folder: str) -> None:
    with pytest.raises(StoreError, match="is the model capsule's own folder, or a version's: name the store above it"):
        Store(capsule / folder).check_writable("capsule")
    assert not (capsule / folder / "capsule").exists()
