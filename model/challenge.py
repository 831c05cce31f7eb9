"""Challenge images of a model: known ones, in the store, that show whether a station still sees what it must."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from model.errors import ChallengeError
from model.image import sniff
from model.verdict import Decision

CHALLENGE: Final = "challenge"
"""The folder's name, beside the model's versions; within it a folder for each kind."""
GOOD: Final = "good"
MOST: Final = 500
"""Images that one run takes."""


@dataclass(frozen=True)
class ChallengeImage:
    """One known image."""

    kind: str
    """good, or the kind of defect."""
    path: Path

    @property
    def name(self) -> str:
        """KIND/FILE."""
        return f"{self.kind}/{self.path.name}"


def passes(kind: str, decision: Decision) -> bool:
    """Whether a decision is the expected one: a good part is accepted, a defective one is not."""
    return (decision == "accept") == (kind == GOOD)


def challenge_images(folder: Path) -> list[ChallengeImage]:
    """The images of a challenge folder, sorted; names that begin with a dot are left alone.

    Raises ChallengeError where it isn't there or can't be read, holds anything else, too many images, or doesn't hold
    both good ones and defective ones.
    """
    try:
        images = [ChallengeImage(kind.name, file) for kind in _entries(folder) for file in _entries(kind)]
        for image in images:
            _check_image(image.path)
    except FileNotFoundError:
        raise ChallengeError(f"there is no {folder}: `training challenge` makes it") from None
    except NotADirectoryError as error:
        raise ChallengeError(f"{error.filename} is no folder; images lie in {CHALLENGE}/KIND/") from None
    except OSError as error:
        raise ChallengeError(f"{folder} can't be read: {error}") from error
    goods = sum(image.kind == GOOD for image in images)
    if not 0 < goods < len(images):
        raise ChallengeError(
            f"{folder} has {goods} good images and {len(images) - goods} defective ones: it needs both, in {GOOD}/ and "
            "in a folder for each kind of defect"
        )
    if len(images) > MOST:
        raise ChallengeError(f"{folder} has {len(images)} images; the limit is {MOST}")
    return images


def _entries(folder: Path) -> list[Path]:
    return sorted(folder / name for name in os.listdir(folder) if not name.startswith("."))


def _check_image(path: Path) -> None:
    if not path.is_file():
        raise ChallengeError(f"{path} is no file; images lie in {CHALLENGE}/KIND/")
    with path.open("rb") as file:
        if sniff(file.read(18)) is None:
            raise ChallengeError(f"{path} is no image that is accepted")
