"""Products by number."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.models.model_snapshot import ModelSnapshot
from app.routes.dependencies import TheService
from model.verdict import Thresholds

router = APIRouter(tags=["models"])


class RecipeInfo(BaseModel):
    """One product of recipes.json."""

    number: int
    model: str
    version: int | None = Field(description="null: the one that serves.")
    thresholds: Thresholds | None = Field(description="In place of those in force; null: it has none of its own.")
    problem: str | None = Field(description="Why it can't be used now; null: it can, as far as it is known.")


class RecipeList(BaseModel):
    """recipes.json that is in force."""

    recipes: list[RecipeInfo]
    error: str | None = Field(description="Why the present recipes.json isn't in force; null: it is.")

    @staticmethod
    def of(snapshot: ModelSnapshot) -> "RecipeList":
        problems = snapshot.recipe_problems()
        return RecipeList(
            recipes=[
                RecipeInfo(
                    number=number,
                    model=recipe.model,
                    version=recipe.version,
                    thresholds=recipe.line_thresholds(),
                    problem=problems.get(number),
                )
                for number, recipe in snapshot.recipes.items()
            ],
            error=snapshot.recipes_error or None,
        )


@router.get("/v1/recipes")
async def list_recipes(service: TheService) -> RecipeList:
    """Products by number, as recipes.json has them: what X-Recipe selects."""
    return RecipeList.of(service.model_manager.snapshot)
