"""recipes.json: what is read, and what is refused by name."""

from pathlib import Path

import pytest

from model.drafts import writing
from model.errors import RecipesError
from model.recipes import ProductRecipe, decode, encode, named_versions
from model.serving import Serving, ThresholdBand
from model.store import Store
from model.verdict import Thresholds


def test_all_members() -> None:
    recipes = decode(
        b'{"12": {"model": "nut"}, "7": {"model": "bolt", "version": 3, "thresholds": 0.4}, '
        b'"8": {"model": "bolt", "thresholds": {"review": 0.3, "label": 0.4, "reject": 0.6}}}'
    )
    band = ThresholdBand(0.3, 0.4, 0.6)
    assert [*recipes.items()] == [
        (7, ProductRecipe("bolt", 3, 0.4)),
        (8, ProductRecipe("bolt", None, band)),
        (12, ProductRecipe("nut")),
    ]
    assert recipes[8].line_thresholds() == Thresholds(0.3, 0.4, 0.6)
    in_force = Serving(version=2, thresholds=0.9, defect_rate=0.02)
    assert recipes[7].applied(in_force) == Serving(version=2, thresholds=0.4, defect_rate=0.02)
    assert recipes[12].applied(in_force) is in_force


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "truncated"),
        ("[]", "Expected `object`"),
        ('{"0": {"model": "bolt"}}', ">= 1"),
        ('{"1000000": {"model": "bolt"}}', "<= 999999"),
        ('{"seven": {"model": "bolt"}}', "Expected `int`"),
        ('{"07": {"model": "bolt"}}', "Expected `int`"),
        ('{"7": {}}', "missing required field `model`"),
        ('{"7": {"model": "../bolt"}}', "matching regex"),
        ('{"7": {"model": "bolt", "versoin": 3}}', "unknown field `versoin`"),
        ('{"7": {"model": "bolt", "version": 0}}', ">= 1"),
        ('{"7": {"model": "bolt", "thresholds": 1.5}}', "<= 1"),
        ('{"7": {"model": "bolt", "thresholds": {"review": 0.6, "label": 0.4, "reject": 0.3}}}', "review"),
        ('{"7": {"model": "bolt"}, "7": {"model": "nut"}}', "7 is there more than once"),
        ('{"7": {"model": "bolt", "version": 1, "version": 2}}', "version is there more than once"),
    ],
)
def test_what_is_refused(content: str, reason: str) -> None:
    with pytest.raises(RecipesError, match=r"^recipes\.json can't be read: ") as refusal:
        decode(content.encode())
    assert reason in str(refusal.value)


def test_they_are_written_as_they_are_read(tmp_path: Path) -> None:
    wanted = {7: ProductRecipe("bolt", 3, ThresholdBand(0.3, 0.4, 0.6)), 12: ProductRecipe("nut", thresholds=0.4)}
    assert decode(encode(wanted)) == wanted
    assert named_versions(wanted) == {"bolt": {3}}
    Store(tmp_path).set_recipes(wanted)
    assert Store(tmp_path).recipes() == wanted
    assert [path.name for path in tmp_path.iterdir()] == ["recipes.json"]


def test_what_a_writer_has_for_a_moment_is_no_stray(tmp_path: Path) -> None:
    """A service that polls just then has nothing to say."""
    with writing(tmp_path):
        (tmp_path / ".draft-1").touch()
        assert (tmp_path / ".lock").exists()
        assert Store(tmp_path).strays() == []


def test_a_store_without_recipes_has_none(tmp_path: Path) -> None:
    assert Store(tmp_path).recipes() == {}


def test_recipes_are_no_strays_of_a_store(tmp_path: Path) -> None:
    (tmp_path / "recipes.json").write_text('{"7": {"model": "bolt"}}')
    assert (Store(tmp_path).recipes(), Store(tmp_path).strays()) == ({7: ProductRecipe("bolt")}, [])


def test_a_folder_in_their_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "recipes.json").mkdir()
    with pytest.raises(RecipesError, match=r"recipes\.json"):
        Store(tmp_path).recipes()
