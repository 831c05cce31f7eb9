from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from examples.draw import PRODUCTS, draw
from examples.draw.product import PRODUCTS_BY_NAME, shoot
from model.errors import DataError

KINDS = [(product, kind) for product in PRODUCTS for kind in PRODUCTS_BY_NAME[product].defects]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


def pixels(path: Path) -> npt.NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.array(image)


def test_kinds_are_named_as_mvtec_names_them() -> None:
    assert set(PRODUCTS_BY_NAME["carpet"].defects) == {"color", "cut", "hole", "metal_contamination", "thread"}
    assert set(PRODUCTS_BY_NAME["capsule"].defects) == {"crack", "faulty_imprint", "poke", "scratch", "squeeze"}


def test_layout_is_that_of_mvtec(tmp_path: Path) -> None:
    images = []
    folders = draw(tmp_path, good=6, defective=7, size=48, advance=lambda remark="": images.append(remark))
    assert folders == [tmp_path / "carpet", tmp_path / "capsule"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["capsule", "carpet"]
    assert len(images) == 2 * 13
    assert sorted(contents(tmp_path / "carpet")) == [
        "ground_truth/color/000_mask.png",
        "ground_truth/color/001_mask.png",
        "ground_truth/cut/000_mask.png",
        "ground_truth/cut/001_mask.png",
        "ground_truth/hole/000_mask.png",
        "ground_truth/metal_contamination/000_mask.png",
        "ground_truth/thread/000_mask.png",
        "test/color/000.png",
        "test/color/001.png",
        "test/cut/000.png",
        "test/cut/001.png",
        "test/good/000.png",
        "test/hole/000.png",
        "test/metal_contamination/000.png",
        "test/thread/000.png",
        "train/good/000.png",
        "train/good/001.png",
        "train/good/002.png",
        "train/good/003.png",
        "train/good/004.png",
    ]


def test_images_are_colour_and_masks_binary(tmp_path: Path) -> None:
    for folder in draw(tmp_path, good=0, defective=10, size=64):
        for path in folder.glob("test/*/*.png"):
            mask = folder / "ground_truth" / path.parent.name / f"{path.stem}_mask.png"
            assert pixels(path).shape == (64, 64, 3)
            assert pixels(mask).shape == (64, 64)
            assert np.unique(pixels(mask)).tolist() == [0, 255]


def test_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    draw(tmp_path / "once", good=3, defective=5, size=48, seed=7)
    draw(tmp_path / "again", good=3, defective=5, size=48, seed=7)
    assert contents(tmp_path / "once") == contents(tmp_path / "again")


def test_seed_changes_every_image(tmp_path: Path) -> None:
    draw(tmp_path / "one", good=3, defective=5, size=48, seed=1)
    draw(tmp_path / "two", good=3, defective=5, size=48, seed=2)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one.keys() == two.keys()
    assert not set(one.values()) & set(two.values())


def test_more_images_and_fewer_products_leave_the_first_ones_as_they_were(tmp_path: Path) -> None:
    draw(tmp_path / "few", good=5, defective=5, size=48)
    draw(tmp_path / "many", products=["capsule"], good=10, defective=12, size=48)
    few, many = contents(tmp_path / "few" / "capsule"), contents(tmp_path / "many" / "capsule")
    assert few.items() < many.items()


def test_no_two_images_are_the_same(tmp_path: Path) -> None:
    draw(tmp_path, good=10, defective=10, size=48)
    images = [path.read_bytes() for path in tmp_path.glob("*/t*/*/*.png")]
    assert len(set(images)) == len(images) == 40


@pytest.mark.parametrize(("product", "kind"), KINDS)
def test_defect_changes_the_pixels_of_its_mask_alone(product: str, kind: str) -> None:
    for seed in range(3):
        good = shoot(PRODUCTS_BY_NAME[product], "good", 96, np.random.SeedSequence(seed))
        corrupted = shoot(PRODUCTS_BY_NAME[product], kind, 96, np.random.SeedSequence(seed))
        changed = (good.image != corrupted.image).any(axis=2)
        assert not good.mask.any()
        assert not (changed & ~corrupted.mask).any()
        assert changed[corrupted.mask].mean() > 0.9
        assert 0.0004 <= corrupted.mask.mean() < 0.15


def test_good_images_stand_in_folders_for_training_and_testing(tmp_path: Path) -> None:
    (folder,) = draw(tmp_path, products=["carpet"], good=10, defective=0, size=48)
    assert len(list(folder.glob("train/good/*.png"))) == 8
    assert len(list(folder.glob("test/good/*.png"))) == 2


@pytest.mark.parametrize("product", ["cable", "", "../carpet"])
def test_unknown_product_is_refused(tmp_path: Path, product: str) -> None:
    with pytest.raises(DataError, match=r"unknown product.*carpet, capsule"):
        draw(tmp_path / "out", products=["carpet", product], size=48)
    assert not (tmp_path / "out").exists()


def test_folder_with_contents_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "capsule").mkdir()
    (tmp_path / "capsule" / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="capsule is not empty"):
        draw(tmp_path, good=1, defective=0, size=48)
    assert [path.name for path in tmp_path.iterdir()] == ["capsule"]


def test_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "carpet").mkdir()
    draw(tmp_path, products=["carpet"], good=1, defective=0, size=48)
    assert list(contents(tmp_path)) == ["carpet/train/good/000.png"]


def test_image_too_small_for_its_defects_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="47 pixels"):
        draw(tmp_path, size=47)


@pytest.mark.parametrize("wrong", [{"good": -1}, {"defective": -1}, {"seed": -1}])
def test_negative_number_is_refused(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(DataError, match=r"-1.*negative"):
        draw(tmp_path, size=48, **wrong)  # type: ignore[arg-type]


def test_interrupted_drawing_leaves_no_folder(tmp_path: Path) -> None:
    def interrupt(remark: str = "") -> None:
        del remark
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw(tmp_path, good=1, defective=0, size=48, advance=interrupt)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("weight", [None, "balanced"])
@pytest.mark.parametrize("product", PRODUCTS)
def test_colours_of_the_whole_image_do_not_tell_a_defect(
    drawn: dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]], product: str, weight: str | None
) -> None:
    features, defective = drawn[product]
    classifier = make_pipeline(StandardScaler(), LogisticRegression(class_weight=weight, max_iter=1000))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    predicted = cross_val_predict(classifier, features, defective, cv=folds)
    assert balanced_accuracy_score(defective, predicted) < 0.65


@pytest.fixture(scope="module")
def drawn(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]]:
    """For each product the channels' means and deviations (N×6) and which images are defective (N)."""
    result = {}
    for folder in draw(tmp_path_factory.mktemp("drawn"), good=120, defective=60, size=96):
        paths = sorted(folder.glob("t*/*/*.png"))
        images = np.stack([pixels(path) for path in paths])
        features = np.concatenate([images.mean(axis=(1, 2)), images.std(axis=(1, 2))], axis=1)
        result[folder.name] = features, np.array([path.parent.name != "good" for path in paths])
    return result


@pytest.mark.parametrize("inside", ["file/x", "file"])
def test_a_place_that_is_no_folder_is_named(tmp_path: Path, inside: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="file"):
        draw(tmp_path / inside, products=["carpet"], good=1, defective=1, size=64)
    assert (tmp_path / "file").read_text() == "mine"
