"""Room is looked for before anything is computed, and what runs out during it has a name."""

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model.errors import DataError, StoreError
from model.preprocessing import Resizing
from model.store import Store
from tests.support.artifacts import WHOLE, publish
from tests.training.conftest import (
    even_features,
    prepare,
    prepare_patches,
    replace_prepare,
    tiny_fine_tuning,
    tiny_patches,
    write_folder,
)
from tests.training.test_cli import FINE_TUNING, PART, PATCHES, workplace  # noqa: F401
from training.__main__ import main
from training.data.dataset import Dataset, check_samples
from training.data.samples import find_samples
from training.estimators.factory import estimator_for
from training.estimators.fine_tuning import PreparedFineTuning
from training.export import version as exporting
from training.export.disk_space import check_room, version_size
from training.features.imagenet import Trunk
from training.features.input_images import InputImages
from training.recipe import Recipe, read_recipe


@pytest.mark.parametrize("anomalies", ["real", "synthetic", "both"])
@pytest.mark.parametrize("changes", [{}, {"flips": 2}, {"flips": 2, "max_images": 50}])
def test_the_size_of_what_is_kept_of_patches(
    dataset: Dataset, trunk: Trunk, changes: dict[str, Any], anomalies: Any
) -> None:
    recipe = tiny_patches(**changes)
    kept = even_features(prepare_patches(dataset, trunk, recipe, anomalies=anomalies))
    assert estimator_for(recipe).features_size(dataset.samples, anomalies) == kept.nbytes


@pytest.mark.parametrize("blocks", [2, 4])
def test_the_size_of_what_is_kept_of_frozen_blocks(dataset: Dataset, trunk: Trunk, blocks: int) -> None:
    recipe = tiny_fine_tuning(frozen_blocks=blocks)
    kept = prepare(dataset, trunk, recipe)
    assert isinstance(kept, PreparedFineTuning)
    assert estimator_for(recipe).features_size(dataset.samples, "real") == kept.features.nbytes


@pytest.mark.parametrize(("preset", "megabytes"), [("accurate", 8.4), ("fast", 8.4), ("baseline", 0.4)])
def test_the_documentation_has_it(dataset: Dataset, preset: str, megabytes: float) -> None:
    size = estimator_for(read_recipe(preset)).features_size(dataset.samples, "real") / len(dataset.samples)
    assert size / 1e6 == pytest.approx(megabytes, abs=0.05)


def test_a_version_is_no_larger(tmp_path: Path) -> None:
    version = publish(tmp_path, onnx=True, hypercolumn=WHOLE)
    size = sum(file.stat().st_size for file in version.rglob("*") if file.is_file())
    assert size < version_size(WHOLE) < 2 * size


@pytest.fixture
def fill(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, int], None]:
    """Let a disk, known by a folder on it, have room for so many bytes only."""
    allocate = os.posix_fallocate

    def fill_(folder: Path, room: int) -> None:
        device = folder.resolve()
        taken: dict[int, int] = {}

        def allocating(descriptor: int, offset: int, size: int) -> None:
            path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
            if path.is_relative_to(device):
                open_files = {int(name) for name in os.listdir("/proc/self/fd")}
                used = sum(each for number, each in taken.items() if number in open_files and number != descriptor)
                if used + size > room:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                taken[descriptor] = size
            allocate(descriptor, offset, min(size, 4096))

        monkeypatch.setattr(os, "posix_fallocate", allocating)

    return fill_


@pytest.mark.parametrize("recipe", [tiny_patches(), tiny_fine_tuning()])
def test_folders_on_one_disk_need_room_for_both(
    tmp_path: Path, dataset: Dataset, fill: Callable[[Path, int], None], monkeypatch: pytest.MonkeyPatch, recipe: Recipe
) -> None:
    monkeypatch.setenv("CAMSPECTOR_CACHE", str(tmp_path / "cache"))
    results, version = estimator_for(recipe).features_size(dataset.samples, "real"), version_size(recipe.hypercolumn)
    fill(tmp_path, results + version)
    check_room(recipe, dataset.samples, "real", tmp_path / "bolt")
    fill(tmp_path, results + version - 1)
    check_room(recipe, dataset.samples, "real")
    with pytest.raises(StoreError, match=r"GB of a version can't be kept in .*bolt .*No space.*or point --store to"):
        check_room(recipe, dataset.samples, "real", tmp_path / "bolt")
    fill(tmp_path, results - 1)
    with pytest.raises(StoreError, match=r"GB of intermediate results .*or point CAMSPECTOR_CACHE to another disk"):
        check_room(recipe, dataset.samples, "real")
    assert list((tmp_path / "bolt").iterdir()) == []


@pytest.mark.parametrize("command", [["fit", *PART], ["crossval", "--folds", "2"], ["curve", "--defects", "3"]])
def test_too_little_room_is_said_before_anything_is_computed(
    workplace: Path,  # noqa: F811
    command: list[str],
    fill: Callable[[Path, int], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def computed(*_: object, **__: object) -> None:
        raise AssertionError("features are computed")

    replace_prepare(monkeypatch, computed)
    monkeypatch.setattr("training.cli_run.imagenet_trunk", computed)
    monkeypatch.setenv("CAMSPECTOR_CACHE", str(workplace / "cache"))
    fill(workplace, 1000)
    assert main([command[0], *PATCHES, *command[1:]]) == 1
    assert capsys.readouterr().err.startswith("error: 0.00 GB of intermediate results can't be kept in")


def test_too_little_room_for_a_version_is_said_before_training(
    workplace: Path,  # noqa: F811
    fill: Callable[[Path, int], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    fill(workplace / "store", 1000)
    assert main(["fit", *FINE_TUNING, *PART]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("error: 0.15 GB of a version can't be kept in store/part (")
    assert "frozen blocks" not in printed.out
    assert Store(Path("store")).models() == []


def test_too_little_room_for_new_thresholds(
    workplace: Path,  # noqa: F811
    fill: Callable[[Path, int], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    publish(workplace / "store", "part")
    fill(workplace / "store", 1000)
    assert main(["evaluate", "--data", "parts", *PART, "--recalibrate"]) == 1
    printed = capsys.readouterr()
    assert "GB of a version can't be kept in store/part" in printed.err
    assert "predicting" not in printed.out


def test_a_disk_for_temporary_files_that_fills_up_meanwhile_has_a_name(
    workplace: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/int8.onnx")

    monkeypatch.setattr(exporting, "build_variants", full)
    assert main(["fit", *FINE_TUNING, *PART]) == 1
    assert "error: a version of 'part' can't be put together: " in capsys.readouterr().err
    assert Store(Path("store")).models() == []


@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n")])
def test_an_image_that_goes_during_training_is_named(
    dataset: Dataset, tmp_path: Path, trunk: Trunk, change: Callable[[Path], object]
) -> None:
    first, *rest = dataset.samples
    path = Path(shutil.copy(first.path, tmp_path / "a.png"))
    moved = replace(first, path=path)
    change(path)
    with pytest.raises(DataError, match=str(path)):
        prepare_patches(replace(dataset, samples=[moved, *rest]), trunk)
    with pytest.raises(DataError, match=str(path)):
        InputImages([moved], Resizing(32, None, reduced=False))[0]


def test_masks_are_read_once(tmp_path: Path, trunk: Trunk) -> None:
    """Their files may go when the data set has been checked."""
    dataset = check_samples(find_samples(write_folder(tmp_path / "data")))
    shutil.rmtree(tmp_path / "data/ground_truth")
    coverage = prepare_patches(dataset, trunk).coverage  # 22×64
    assert ((coverage > 0).sum(axis=1) == [4 if sample.is_anomaly else 0 for sample in dataset.samples]).all()
