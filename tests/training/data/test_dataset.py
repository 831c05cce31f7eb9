import os
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from model.errors import DataError
from model.image import FORMATS
from tests.training.conftest import MakeFolder, quiet, save
from training.data.dataset import Dataset, load_dataset
from training.data.samples import kinds_of
from training.progress import Reporter


def read(root: Path, count: int | None = None, seed: int = 0, group: str | None = None) -> Dataset:
    return load_dataset(root, group=group, sample=count, seed=seed, reporter=quiet())


def test_all_images_are_read_with_their_groups(make_folder: MakeFolder) -> None:
    root = make_folder()
    save(root / "test/good/copy.png", Image.open(root / "train/good/001.png"))
    dataset = read(root)
    assert [sample.name for sample in dataset.samples] == sorted(sample.name for sample in dataset.samples)
    assert (len(dataset.samples), dataset.duplicates) == (23, 1)
    assert len({sample.group for sample in read(root, group=r"/(\w+)/\d|copy").samples}) < 22


@pytest.mark.parametrize("count", [10, 21, 22, 40])
def test_a_sample_keeps_the_kinds_in_proportion(make_folder: MakeFolder, count: int) -> None:
    dataset = read(make_folder(), count, seed=3)
    kinds = kinds_of(dataset.samples)
    assert len(dataset.samples) == min(count, 22)
    assert abs(kinds["good"] - min(count, 22) * 12 / 22) < 1
    assert abs(kinds["scratch"] - kinds["spot"]) <= 1


def test_a_sample_has_rare_kinds_and_is_decided_by_the_seed(make_folder: MakeFolder) -> None:
    root = make_folder(good=40, bad=1)
    names = [[sample.name for sample in read(root, 10, seed).samples] for seed in (1, 1, 2)]
    assert Counter(Path(name).parent.name for name in names[0]) == {"good": 8, "scratch": 1, "spot": 1}
    assert names[0] == names[1] != names[2]


def test_a_sample_that_can_not_hold_every_kind_is_refused(make_folder: MakeFolder) -> None:
    with pytest.raises(DataError, match="--sample 2: there are 3 kinds"):
        read(make_folder(), 2)


def test_a_folder_of_good_images_alone_is_read(make_folder: MakeFolder) -> None:
    root = make_folder(good=8, bad=0)
    assert kinds_of(read(root).samples) == {"good": 8}
    assert kinds_of(read(root / "train").samples) == {"good": 4}
    assert kinds_of(read(root, 3).samples) == {"good": 3}


def test_the_order_in_which_files_were_written_does_not_show(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder()
    paths = sorted((path for path in root.rglob("*.png")), reverse=True)
    for path in paths:
        copy = tmp_path / "copy" / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    first, second = read(root), read(tmp_path / "copy")
    assert [(s.name, s.kind, s.group) for s in first.samples] == [(s.name, s.kind, s.group) for s in second.samples]
    assert first.digests == second.digests


def test_what_is_left_out_and_what_is_doubtful_is_printed(
    make_folder: MakeFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_folder()
    (root / "license.txt").touch()
    save(root / "ground_truth/spot/000_mask.png", Image.new("L", (48, 48), 255))
    load_dataset(root, group=None, sample=None, seed=0, reporter=Reporter())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"left out: 1 files that are no {FORMATS} image, as license.txt"
    assert lines[2].startswith("warning: 1 of 10 masks mark more than half of their image, as")
    assert lines[3] == "22 images: good 12, scratch 5, spot 5; 10 have a mask"


def test_names_that_are_no_text_do_not_stop_it(make_folder: MakeFolder, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_folder()
    (root / os.fsdecode(b"caf\xe9.txt")).touch()
    load_dataset(root, group=None, sample=None, seed=0, reporter=Reporter())
    assert r"as caf\udce9.txt" in capsys.readouterr().out
