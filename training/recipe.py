"""A preset's configuration: typed, validated, and saved in the manifest. Presets are files in training/presets."""

from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import msgspec

from model.errors import RecipeError
from model.evidence import Pooling
from model.files import utf8
from model.hypercolumn import Hypercolumn

Positive = Annotated[int, msgspec.Meta(ge=1)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0, lt=1e6)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Seed = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
InputSize = Annotated[int, msgspec.Meta(ge=32, le=1024, multiple_of=16)]


class Published(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="published", tag_field="kind"
):
    """Fine-tuning of the last blocks for a fixed threshold. No member is optional that changes the result."""

    name: str
    input_size: InputSize
    """Side S of the square that every image is squashed to, in pixels: a multiple of every stride there is."""
    frozen_blocks: Annotated[int, msgspec.Meta(ge=1, le=4)]
    """Blocks of VGG-16 that keep their ImageNet weights; their output is computed once per image."""
    batch_size: Positive
    epochs: Positive
    """At most so many passes over the training images."""
    stop_at_accuracy: Share
    """Training ends after the pass in which this share of training images was judged rightly."""
    learning_rate: PositiveFloat
    """Of Adam (Kingma & Ba 2015)."""
    class_weights: tuple[PositiveFloat, PositiveFloat]
    """Of good and anomaly in the cross-entropy."""
    held_out: Annotated[float, msgspec.Meta(gt=0, le=0.5)]
    """Share of the images that `fit` keeps out of training and measures on."""
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)]
    """Probability from which the label is anomaly."""
    seed: Seed
    """Of the split, the dense layer's first weights and the order of images."""

    @property
    def hypercolumn(self) -> Hypercolumn:
        return Hypercolumn()

    @property
    def pooling(self) -> Pooling:
        return Pooling()


class Places(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="places", tag_field="kind"):
    """Logistic regression of places on ImageNet's features. No member is optional that changes the result."""

    name: str
    input_size: InputSize
    """Side S of the square that every image is squashed to, in pixels."""
    hypercolumn: Hypercolumn
    """The layers that the dense layer reads."""
    pooling: Pooling
    views: Annotated[int, msgspec.Meta(ge=1, le=3)]
    """Of each image that is learnt from: as it is, mirrored left to right, mirrored top to bottom."""
    most_pictures: Positive
    """In all views of all images together; larger data has fewer views, so that the time stays bounded."""
    penalty: PositiveFloat
    """Of the squared weights of standardised features, beside the mean cross-entropy."""
    context_penalty: PositiveFloat
    """The same of the regression of whole pictures, where the hypercolumn has context."""
    good_places: Positive
    """Places drawn from good images, of all of them together."""
    defect_places: Positive
    """Places on a defect, and beside it, that an image with a mask gives at most."""
    hard_places: Positive
    """Strongest places of good images, of all of them together, that each round adds."""
    rounds: Positive
    """Regressions, each on the places that the one before judged worst."""
    guessed_share: Annotated[float, msgspec.Meta(gt=0, lt=1)]
    """Without a mask, an image's defective places are those stronger than all but this share of good places."""
    inner_folds: Annotated[int, msgspec.Meta(ge=2)]
    """Parts that take turns at being held out, for calibration, thresholds and region level."""
    seed: Seed
    """Of the splits and of the places drawn."""


Recipe = Published | Places


def as_dict(recipe: Recipe) -> dict[str, Any]:
    """Plain JSON types, as the manifest keeps them."""
    return dict(msgspec.to_builtins(recipe))


def preset_names() -> list[str]:
    """The presets that come with the program."""
    return sorted(entry.name[:-5] for entry in _folder().iterdir() if entry.name.endswith(".toml"))


def read_recipe(preset: str, *, seed: int | None = None) -> Recipe:
    """A preset by name, or a TOML file of one's own by path; `seed` replaces the one written there.

    Raises RecipeError, naming the file and the member that is wrong.
    """
    path = Path(preset) if preset.endswith(".toml") else _folder() / f"{preset}.toml"
    try:
        written = msgspec.toml.decode(utf8(path.read_bytes()))
        recipe: Recipe = msgspec.convert(written, Recipe)
        _check_complete(recipe, written)
    except FileNotFoundError:
        known = ", ".join(preset_names())
        raise RecipeError(f"no preset {preset!r}; there are: {known} (or name a .toml file of your own)") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, OSError) as error:
        raise RecipeError(f"{path}: {error}") from error
    if seed is None:
        return recipe
    if not 0 <= seed < 2**32:
        raise RecipeError(f"the seed must lie between 0 and {2**32 - 1}, not {seed}")
    return msgspec.structs.replace(recipe, seed=seed)


def _check_complete(recipe: Recipe, written: dict[str, Any]) -> None:
    """Tables too must name all their members and no other: hypercolumn and pooling have defaults, for artifacts."""
    for name, table in written.items():
        if not isinstance(table, dict):
            continue
        members = [member.name for member in fields(getattr(recipe, name))]
        if set(table) != set(members):
            raise ValueError(f"{name} must have the members {', '.join(members)}, not {', '.join(table)}")


def _folder() -> Any:
    return resources.files("training") / "presets"
