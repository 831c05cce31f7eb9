"""A preset's configuration: typed, validated, and saved in the manifest. Presets are files in training/presets."""

from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import msgspec

from model.errors import RecipeError
from model.evidence import Pooling

Positive = Annotated[int, msgspec.Meta(ge=1)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0, lt=1e6)]


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a network is made from images. No member is optional that changes the result."""

    name: str
    input_size: Annotated[int, msgspec.Meta(ge=32, le=1024, multiple_of=16)]
    """Side S of the square that every image is squashed to, in pixels."""
    frozen_blocks: Annotated[int, msgspec.Meta(ge=1, le=4)]
    """Blocks of VGG-16 that keep their ImageNet weights; their output is computed once per image."""
    batch_size: Positive
    epochs: Positive
    """At most so many passes over the training images."""
    stop_at_accuracy: Annotated[float, msgspec.Meta(gt=0, le=1)]
    """Training ends after the pass in which this share of training images was judged rightly."""
    learning_rate: PositiveFloat
    """Of Adam (Kingma & Ba 2015)."""
    class_weights: tuple[PositiveFloat, PositiveFloat]
    """Of good and anomaly in the cross-entropy."""
    held_out: Annotated[float, msgspec.Meta(gt=0, le=0.5)]
    """Share of the images that `fit` keeps out of training and measures on."""
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)]
    """Probability from which the label is anomaly."""
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
    """Of the split, the dense layer's first weights and the order of images."""
    pooling: Pooling = Pooling()

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types, as the manifest keeps them."""
        return dict(msgspec.to_builtins(self))


def preset_names() -> list[str]:
    """The presets that come with the program."""
    return sorted(entry.name[:-5] for entry in _folder().iterdir() if entry.name.endswith(".toml"))


def read_recipe(preset: str, *, seed: int | None = None) -> Recipe:
    """A preset by name, or a TOML file of one's own by path; `seed` replaces the one written there.

    Raises RecipeError, naming the file and the member that is wrong.
    """
    path = Path(preset) if preset.endswith(".toml") else _folder() / f"{preset}.toml"
    try:
        recipe = msgspec.toml.decode(path.read_bytes(), type=Recipe)
    except FileNotFoundError:
        known = ", ".join(preset_names())
        raise RecipeError(f"no preset {preset!r}; there are: {known} (or name a .toml file of your own)") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as error:
        raise RecipeError(f"{path}: {error}") from error
    if seed is None:
        return recipe
    if not 0 <= seed < 2**32:
        raise RecipeError(f"the seed must lie between 0 and {2**32 - 1}, not {seed}")
    return msgspec.structs.replace(recipe, seed=seed)


def _folder() -> Any:
    return resources.files("training") / "presets"
