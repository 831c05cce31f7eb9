"""A preset's configuration: typed, validated, and saved in the manifest. Presets are files in training/presets."""

from dataclasses import fields, replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from model.errors import RecipeError
from model.evidence import Pooling
from model.files import utf8
from model.hypercolumn import Hypercolumn
from model.tiles import Frame, Tiling, frame_size

_NOT_WRITTEN: Final = {"trunk", "head_apart", "strongest"}
"""Members of a recipe's tables that training decides: the narrow trunk's widths, and what follows from others."""

Positive = Annotated[int, msgspec.Meta(ge=1)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0, lt=1e6)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
ShareBelowOne = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Seed = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
TrunkName = Literal["auto", "full", "narrow"]
OtherSizes = Literal["odd", "same-scale"]
InputSize = Annotated[int, msgspec.Meta(ge=32, le=1024, multiple_of=16)]


class FineTuning(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="fine-tuning", tag_field="kind"
):
    """Fine-tuning of VGG-16's last blocks for a fixed threshold. No member is optional that changes the result."""

    takes_synthetic_anomalies: ClassVar[bool] = False
    trunk: ClassVar[TrunkName] = "full"
    trunks_compared: ClassVar[int] = 1
    frame: ClassVar[Frame | None] = None
    resolution: ClassVar[str | None] = None
    other_sizes: ClassVar[OtherSizes | None] = None
    inner_folds: ClassVar[int] = 0
    """It calibrates nothing, so that nothing has to be cross-validated within a training set."""

    name: str
    input_size: InputSize
    """Side S of the square that every image is resized to, in pixels: a multiple of every stride there is."""
    reduced_decoding: bool
    """Whether large images are halved first, as often as both sides keep 2·S pixels: quicker, and hardly different."""
    frozen_blocks: Annotated[int, msgspec.Meta(ge=1, le=4)]
    """Blocks of VGG-16 that keep their ImageNet weights; their output is computed once per image."""
    batch_size: Positive
    epochs: Positive
    """Largest number of passes over the training images."""
    stop_at_accuracy: Share
    """Training ends after the pass in which this share of training images was classified rightly."""
    learning_rate: PositiveFloat
    """Step size of Adam (Kingma & Ba 2015)."""
    class_weights: tuple[PositiveFloat, PositiveFloat]
    """Weights of good and anomaly in the cross-entropy."""
    test_share: Annotated[float, msgspec.Meta(gt=0, le=0.5)]
    """Share of the images that `fit` keeps out of training and measures on."""
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)]
    """Probability from which the label is anomaly."""
    seed: Seed
    """Seed of the split, the dense layer's first weights and the order of images."""

    @property
    def hypercolumn(self) -> Hypercolumn:
        return Hypercolumn()

    @property
    def pooling(self) -> Pooling:
        return Pooling()

    @property
    def fixed_threshold(self) -> float | None:
        return self.threshold


class Patches(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="patches", tag_field="kind"):
    """Logistic regression of patches on ImageNet's features. No member is optional that changes the result."""

    takes_synthetic_anomalies: ClassVar[bool] = True
    fixed_threshold: ClassVar[float | None] = None
    """Thresholds are chosen on out-of-fold predictions, by a rule."""
    frame: Frame | None = None
    """What images are scaled to before they are cut into tiles; None: every image is resized to one tile. Training
    chooses it, by `resolution`."""
    resolution: str | None = None
    """auto, WIDTHxHEIGHT or a factor (`training.resolution`); None: one tile."""
    other_sizes: OtherSizes | None = None
    """What becomes of images of another size than any in training. same-scale: they are scaled by the same factor, to
    as many tiles as that takes; needs a resolution. odd, as None: they are odd to the gate, and never accepted."""

    name: str
    input_size: InputSize
    """Side S of the square that every image is resized to, in pixels."""
    reduced_decoding: bool
    """Whether large images are halved first, as often as both sides keep 2·S pixels: quicker, and hardly different."""
    hypercolumn: Hypercolumn
    """The layers whose features a patch has."""
    pooling: Pooling
    flips: Annotated[int, msgspec.Meta(ge=0, le=2)]
    """Flipped copies of each image that are learnt from beside it: left to right, then top to bottom."""
    max_images: Positive
    """Largest number of images and flipped copies together: larger data has fewer copies, so that time is bounded."""
    l2_penalty: PositiveFloat
    """Factor of the squared weights of standardised patch features, beside the mean cross-entropy."""
    image_l2_penalty: PositiveFloat
    """The same factor of the regression of whole images, where the hypercolumn has an image head."""
    good_patches: Positive
    """Number of patches drawn from all good images together."""
    defect_patches: Positive
    """Largest number of patches on a defect, and of patches beside it, that one image with a mask gives."""
    hard_patches: Positive
    """Number of good images' most anomalous patches, of all images together, that each round of mining adds."""
    mining_rounds: Positive
    """Number of regressions, each on the patches that the one before classified worst (hard-negative mining)."""
    pseudo_label_share: ShareBelowOne
    """Share of good patches that score higher than what is taken for defective in an anomaly without a mask."""
    inner_folds: Annotated[int, msgspec.Meta(ge=2)]
    """Folds of the cross-validation that calibration, thresholds and region threshold are chosen by."""
    trunk: TrunkName
    """full: VGG-16's convolutions as they are; narrow: fewer channels, chosen for the product; auto: what does no
    harm with the least work for a good image (`training.estimators.trunk_comparison`)."""
    narrow_shares: Annotated[tuple[ShareBelowOne, ...], msgspec.Meta(min_length=1)]
    """Shares of each layer's channels that narrow trunks have, ascending: auto tries one after the other, narrow takes
    the last."""
    seed: Seed
    """Seed of the splits and of the patches drawn."""

    def __post_init__(self) -> None:
        apart = replace(self.hypercolumn, head_apart=self.hypercolumn.image_head)
        msgspec.structs.force_setattr(self, "hypercolumn", apart)
        if list(self.narrow_shares) != sorted(set(self.narrow_shares)):
            raise ValueError(f"narrow_shares must ascend, not be {', '.join(map(str, self.narrow_shares))}")

    @property
    def trunks_compared(self) -> int:
        """How many trunks are regressed on, at most: auto takes the full one twice, then each narrow one."""
        return 2 + len(self.narrow_shares) if self.trunk == "auto" else 1

    @property
    def tiling(self) -> Tiling:
        """How frames are cut."""
        return Tiling.of(self.frame, self.input_size)

    @property
    def frame_size(self) -> tuple[int, int]:
        """Width and height of a frame, in pixels."""
        return frame_size(self.frame, self.input_size)

    @property
    def tiles(self) -> int:
        """Tiles of a frame."""
        width, height = self.frame_size
        return self.tiling.count(height, width)


Recipe = FineTuning | Patches


def as_dict(recipe: Recipe) -> dict[str, Any]:
    """The recipe in plain JSON types, as the manifest keeps it: what a preset's file says."""
    written = {name: value for name, value in msgspec.to_builtins(recipe).items() if value is not None}
    for name, table in written.items():
        if isinstance(table, dict):
            written[name] = {member: value for member, value in table.items() if member not in _NOT_WRITTEN}
    return dict(written)


def preset_names() -> list[str]:
    """Names of the presets that come with the program."""
    return sorted(entry.name[:-5] for entry in _folder().iterdir() if entry.name.endswith(".toml"))


def read_recipe(
    preset: str, *, seed: int | None = None, trunk: TrunkName | None = None, resolution: str | None = None
) -> Recipe:
    """A preset by name, or a TOML file of one's own by path; the others replace what is written there.

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
    if seed is not None:
        if not 0 <= seed < 2**32:
            raise RecipeError(f"the seed must lie between 0 and {2**32 - 1}, not {seed}")
        recipe = msgspec.structs.replace(recipe, seed=seed)
    if trunk is not None and trunk != recipe.trunk:
        if isinstance(recipe, FineTuning):
            raise RecipeError(
                f"preset {recipe.name} fine-tunes the full trunk, so --trunk {trunk} is for other presets"
            )
        recipe = msgspec.structs.replace(recipe, trunk=trunk)
    if resolution is not None:
        if isinstance(recipe, FineTuning):
            raise RecipeError(
                f"preset {recipe.name} resizes every image to one tile, so --resolution is for other presets"
            )
        recipe = msgspec.structs.replace(recipe, resolution=resolution)
    return recipe


def _check_complete(recipe: Recipe, written: dict[str, Any]) -> None:
    """Tables too must name all their members and no other: hypercolumn and pooling have defaults, for artifacts."""
    if "frame" in written:
        raise ValueError("frame follows from the images: write resolution in its place")
    for name, table in written.items():
        if not isinstance(table, dict):
            continue
        members = [member.name for member in fields(getattr(recipe, name)) if member.name not in _NOT_WRITTEN]
        if set(table) != set(members):
            raise ValueError(f"{name} must have the members {', '.join(members)}, not {', '.join(table)}")


def _folder() -> Any:
    return resources.files("training") / "presets"
