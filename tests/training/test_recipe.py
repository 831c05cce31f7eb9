from pathlib import Path

import pytest

from model.errors import RecipeError
from tests.training.conftest import OWN_PRESET
from training.recipe import preset_names, read_recipe


def test_seed_is_the_published_recipe() -> None:
    published = {
        "name": "seed",
        "input_size": 224,
        "frozen_blocks": 4,
        "batch_size": 10,
        "epochs": 10,
        "stop_at_accuracy": 0.98,
        "learning_rate": 1e-4,
        "class_weights": (1.0, 3.0),
        "held_out": 0.2,
        "threshold": 0.5,
        "seed": 42,
        "pooling": {"kind": "mean"},
    }
    assert read_recipe("seed").as_dict() == published


def test_every_preset_is_valid_and_named_after_its_file() -> None:
    assert "seed" in preset_names()
    assert all(read_recipe(name).name == name for name in preset_names())


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN_PRESET)
    assert read_recipe(str(path), seed=9).seed == 9
    assert read_recipe(str(path)).as_dict()["class_weights"] == (1.0, 1.0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("input_size = 100", "multiple of 16.*input_size"),
        ("epochs = 0", ">= 1.*epochs"),
        ("learning_rate = 'fast'", "float.*learning_rate"),
        ("held_out = 0.6", "<= 0.5.*held_out"),
        ("seed = -1", ">= 0.*seed"),
        ("learning_rate = inf", "< 1000000.*learning_rate"),
        ("typo", "line"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "own.toml"
    key = line.split(" ")[0]
    path.write_text("\n".join(row for row in OWN_PRESET.splitlines() if not row.startswith(key)) + f"\n{line}\n")
    with pytest.raises(RecipeError, match=f"own.toml: .*{message}"):
        read_recipe(str(path))


def test_unknown_members_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN_PRESET + "learning_rat = 1\n")
    with pytest.raises(RecipeError, match="learning_rat"):
        read_recipe(str(path))


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(RecipeError, match=r"no preset 'fancy'; there are: .*seed"):
        read_recipe("fancy")
