from pathlib import Path
from typing import Any

import msgspec
import pytest

from model.errors import RecipeError
from model.evidence import Pooling
from model.hypercolumn import Hypercolumn
from tests.training.conftest import OWN_FINE_TUNING, OWN_PATCHES, tiny_fine_tuning, tiny_patches
from training.recipe import FineTuning, Patches, Recipe, as_dict, preset_names, read_recipe


def column(blocks: str, stride: int) -> str:
    """Its line in a preset file."""
    return f"hypercolumn = {{ blocks = {blocks}, stride = {stride}, image_head = false }}"


def test_baseline_is_the_published_recipe() -> None:
    recipe = read_recipe("baseline")
    assert as_dict(recipe) == {
        "kind": "fine-tuning",
        "name": "baseline",
        "input_size": 224,
        "reduced_decoding": False,
        "frozen_blocks": 4,
        "batch_size": 10,
        "epochs": 10,
        "stop_at_accuracy": 0.98,
        "learning_rate": 1e-4,
        "class_weights": (1.0, 3.0),
        "test_share": 0.2,
        "threshold": 0.5,
        "seed": 42,
    }
    assert (recipe.hypercolumn, recipe.pooling) == (Hypercolumn((5,), 16), Pooling(1.0))


def test_every_preset_is_valid_and_named_after_its_file() -> None:
    assert set(preset_names()) >= {"accurate", "fast", "baseline"}
    assert all(read_recipe(name).name == name for name in preset_names())
    assert read_recipe("fast").input_size == 224


def test_a_recipe_is_of_the_kind_that_it_names(tmp_path: Path) -> None:
    assert own(tmp_path, OWN_FINE_TUNING) == tiny_fine_tuning()
    recipe = own(tmp_path, OWN_PATCHES)
    assert isinstance(recipe, Patches)
    assert recipe == tiny_patches()
    assert (recipe.hypercolumn, recipe.pooling) == (
        Hypercolumn((1, 2), 8, image_head=True, head_apart=True),
        Pooling(0.05),
    )


@pytest.mark.parametrize("recipe", [tiny_fine_tuning(), tiny_patches()])
def test_a_recipe_comes_back_from_what_the_manifest_keeps(recipe: Recipe) -> None:
    kept = msgspec.json.encode(as_dict(recipe))
    assert msgspec.json.decode(kept, type=FineTuning | Patches) == recipe


def test_another_seed_changes_nothing_else(tmp_path: Path) -> None:
    own(tmp_path, OWN_PATCHES)
    assert read_recipe(str(tmp_path / "own.toml"), seed=0) == tiny_patches(seed=0)
    for seed in (-1, 2**32):
        with pytest.raises(RecipeError, match="seed must lie between 0 and 4294967295"):
            read_recipe("baseline", seed=seed)


@pytest.mark.parametrize(
    ("preset", "line", "message"),
    [
        (OWN_FINE_TUNING, "kind = 'forest'", r"'forest'.*kind"),
        (OWN_FINE_TUNING, "input_size = 100", "multiple of 16.*input_size"),
        (OWN_FINE_TUNING, "input_size = 2048", "<= 1024.*input_size"),
        (OWN_FINE_TUNING, "epochs = 0", ">= 1.*epochs"),
        (OWN_FINE_TUNING, "frozen_blocks = 5", "<= 4.*frozen_blocks"),
        (OWN_FINE_TUNING, "learning_rate = 'fast'", "float.*learning_rate"),
        (OWN_FINE_TUNING, "learning_rate = inf", "< 1000000.*learning_rate"),
        (OWN_FINE_TUNING, "class_weights = [1, 2, 3]", "length 2.*class_weights"),
        (OWN_FINE_TUNING, "test_share = 0.6", "<= 0.5.*test_share"),
        (OWN_FINE_TUNING, "seed = -1", ">= 0.*seed"),
        (OWN_FINE_TUNING, "mining_rounds = 3", "unknown field `mining_rounds`"),
        (OWN_FINE_TUNING, "typo", "line"),
        (OWN_PATCHES, "epochs = 3", "unknown field `epochs`"),
        (OWN_PATCHES, "input_size = 40", "multiple of 16.*input_size"),
        (OWN_PATCHES, "l2_penalty = 0", "> 0.*l2_penalty"),
        (OWN_PATCHES, "flips = 3", "<= 2.*flips"),
        (OWN_PATCHES, "max_images = 0", ">= 1.*max_images"),
        (OWN_PATCHES, "mining_rounds = 0", ">= 1.*mining_rounds"),
        (OWN_PATCHES, "inner_folds = 1", ">= 2.*inner_folds"),
        (OWN_PATCHES, "trunk = 'thin'", "Invalid enum value 'thin'.*trunk"),
        (OWN_PATCHES, "narrow_shares = [0]", "> 0.*narrow_shares"),
        (OWN_PATCHES, "narrow_shares = [0.5, 1]", "< 1.*narrow_shares"),
        (OWN_PATCHES, "narrow_shares = []", ">= 1.*narrow_shares"),
        (OWN_PATCHES, "narrow_shares = [0.5, 0.25]", "narrow_shares must ascend, not be 0.5, 0.25"),
        (OWN_PATCHES, "narrow_shares = [0.5, 0.5]", "narrow_shares must ascend"),
        (OWN_PATCHES, column("[2]", 4).replace("false", "false, trunk = [[8]]"), "VGG-16 at most.*hypercolumn"),
        (OWN_PATCHES, "pseudo_label_share = 1.0", "< 1.*pseudo_label_share"),
        (OWN_PATCHES, "pooling = 0.01", "object.*pooling"),
        (OWN_PATCHES, "pooling = { top_share = 0 }", r"> 0.*pooling\.top_share"),
        (OWN_PATCHES, "pooling = { top_share = 1.5 }", r"<= 1.*pooling\.top_share"),
        (OWN_PATCHES, "pooling = { share = 0.01 }", "pooling must have the members top_share, not share"),
        (OWN_PATCHES, "hypercolumn = { blocks = [2, 3], stride = 4 }", "stride, image_head, not blocks, stride"),
        (OWN_PATCHES, column("[2, 3]", 2), r"one of \[4, 8, 16\], not 2.*hypercolumn"),
        (OWN_PATCHES, column("[5]", 32), r"must be one of \[16\], not 32.*hypercolumn"),
        (OWN_PATCHES, column("[3, 2]", 8), "must ascend within 1 … 5.*hypercolumn"),
        (OWN_PATCHES, column("[]", 8), r"must ascend .*\(\).*hypercolumn"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, preset: str, line: str, message: str) -> None:
    with pytest.raises(RecipeError, match=f"own.toml: .*{message}"):
        own(tmp_path, _without(preset, line.split(" ")[0]) + f"{line}\n")


MEMBERS = [
    (preset, row.split(" ")[0])
    for preset in (OWN_FINE_TUNING, OWN_PATCHES)
    for row in preset.splitlines()
    if " = " in row
]


@pytest.mark.parametrize(("preset", "member"), MEMBERS)
def test_no_member_may_be_left_out(tmp_path: Path, preset: str, member: str) -> None:
    with pytest.raises(RecipeError, match=f"missing required field `{member}`"):
        own(tmp_path, _without(preset, member))


def test_a_preset_as_windows_saves_it(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(OWN_PATCHES.replace("\n", "\r\n").encode("utf-8-sig"))
    assert read_recipe(str(path)) == tiny_patches()
    path.write_bytes(OWN_PATCHES.encode("utf-16"))
    with pytest.raises(RecipeError, match=r"own\.toml: it is in UTF-16"):
        read_recipe(str(path))


def test_another_trunk_changes_nothing_else(tmp_path: Path) -> None:
    own(tmp_path, OWN_PATCHES)
    assert read_recipe(str(tmp_path / "own.toml"), trunk="narrow") == tiny_patches(trunk="narrow")
    assert read_recipe(str(tmp_path / "own.toml"), trunk=None) == tiny_patches()
    assert read_recipe("baseline", trunk="full") == read_recipe("baseline")
    with pytest.raises(RecipeError, match="baseline fine-tunes the full trunk, so --trunk narrow"):
        read_recipe("baseline", trunk="narrow")


def test_an_unknown_preset_names_the_known_ones() -> None:
    known = ", ".join(preset_names())
    with pytest.raises(RecipeError, match=rf"no preset 'fancy'; there are: {known} \(or name a .toml"):
        read_recipe("fancy")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"kind = ", b""])
def test_a_file_that_is_no_recipe_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "own.toml").write_bytes(content)
    with pytest.raises(RecipeError, match=r"own\.toml: "):
        read_recipe(str(tmp_path / "own.toml"))


def own(folder: Path, text: str) -> Any:
    path = folder / "own.toml"
    path.write_text(text)
    return read_recipe(str(path))


def _without(preset: str, member: str) -> str:
    return "".join(f"{row}\n" for row in preset.splitlines() if not row.startswith(f"{member} "))
