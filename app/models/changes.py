"""What comes into force of serving.json and recipes.json: told to the log and to the audit, with whose doing it was."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from app.models.model_snapshot import ModelSnapshot, ModelState
from model.recipes import RECIPES, ProductRecipes, compact
from model.serving import SERVING

log = logging.getLogger(__name__)

Audit = Callable[[Literal["serving", "recipes"], str, str, str], object]
"""Which file; the model, or the file where it is the store's; what is in force; the key's name, or the file."""


class Changes:
    """Of one service's store."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._key: str | None = None
        """Name of the key; None: a file was changed."""
        self._recipes: str | None = None
        """What the audit was last told."""

    @contextmanager
    def by(self, key: str) -> Iterator[None]:
        """In the block, what comes into force is the doing of whose key that is."""
        self._key = key
        try:
            yield
        finally:
            self._key = None

    def of_model(self, name: str, before: ModelState, after: ModelState) -> None:
        previous, serving = before.serving, after.serving
        changed = after.serving_config != before.serving_config
        if changed and not after.serving_error:
            log.info("model %s: %s is in force: %s", name, SERVING, after.serving_config)
        if changed or (serving and not previous):
            self._audit("serving", name, str(after.serving_config), self._key or SERVING)
        if serving and serving.version != (previous and previous.version):
            instead = f" (previous: {previous.version})" if previous else ""
            log.info("model %s: version %d serves now%s", name, serving.version, instead)

    def of_recipes(self, before: ModelSnapshot, recipes: ProductRecipes) -> None:
        if recipes != before.recipes or before.recipes_error:
            log.info("%s is in force: recipes %s", RECIPES, ", ".join(map(str, recipes)) or "none")
        if (content := compact(recipes)) != self._recipes:
            self._recipes = content
            self._audit("recipes", RECIPES, content, self._key or RECIPES)
