"""recipes.json: products by number, as a PLC asks for them; set by a person beside the models, and at any time."""

import json
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from model.errors import RecipesError
from model.files import utf8
from model.serving import Probability, Serving, ThresholdBand, line_thresholds
from model.store_layout import MODEL_NAME
from model.verdict import Thresholds

RECIPES: Final = "recipes.json"
MOST: Final = 999_999
"""The greatest number."""
NUMBER: Final = "^[1-9][0-9]{0,5}$"
"""As it is written."""


class ProductRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one number stands for."""

    model: Annotated[str, msgspec.Meta(pattern=f"^(?:{MODEL_NAME.pattern})$")]
    version: Annotated[int, msgspec.Meta(ge=1, le=999_999_999)] | None = None
    """None: the one that serves."""
    thresholds: Probability | ThresholdBand | None = None
    """In place of those in force, as serving.json writes them."""

    def applied(self, serving: Serving) -> Serving:
        """The model's serving config with the recipe's thresholds, where it has any."""
        return serving if self.thresholds is None else msgspec.structs.replace(serving, thresholds=self.thresholds)

    def line_thresholds(self) -> Thresholds | None:
        return line_thresholds(self.thresholds)


Number = Annotated[int, msgspec.Meta(ge=1, le=MOST)]
ProductRecipes = dict[Number, ProductRecipe]


def needed(recipes: Mapping[int, ProductRecipe]) -> dict[tuple[str, int | None], int]:
    """Models and versions that must be there, each with the number of a recipe that names it."""
    return {(recipe.model, recipe.version): number for number, recipe in recipes.items()}


def named_versions(recipes: Mapping[int, ProductRecipe]) -> dict[str, frozenset[int]]:
    """Versions that recipes name, by model: they are kept, however old."""
    found: dict[str, frozenset[int]] = {}
    for model, version in needed(recipes):
        if version is not None:
            found[model] = found.get(model, frozenset()) | {version}
    return found


def encode(recipes: Mapping[int, ProductRecipe]) -> bytes:
    """recipes.json's bytes, indented for people."""
    return msgspec.json.format(compact(recipes).encode(), indent=2) + b"\n"


def compact(recipes: Mapping[int, ProductRecipe]) -> str:
    """The same in one line."""
    return msgspec.json.encode(recipes).decode()


def decode(data: bytes, source: str = RECIPES) -> ProductRecipes:
    """Parse recipes.json. Raises RecipesError, naming `source` and the member that is wrong."""
    try:
        text = utf8(data)
        recipes = msgspec.json.decode(text, type=ProductRecipes)
        json.loads(text, object_pairs_hook=_once)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RecipesError(f"{source} can't be read: {error}") from error
    return dict(sorted(recipes.items()))


def _once(pairs: list[tuple[str, object]]) -> None:
    """Raises ValueError for a member that is there twice: one of two products would be inspected as the other."""
    names = [name for name, _ in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{', '.join(twice)} is there more than once")
