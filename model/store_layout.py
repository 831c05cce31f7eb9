"""Layout of a store's folder: of models, or one model's own, or one version's, as a machine that serves one has it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from model.artifact import MANIFEST
from model.errors import StoreError

MODEL_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
VERSION: Final = re.compile(r"[1-9][0-9]{0,8}")
UNNAMED: Final = "model"
"""Name of a model whose folder has no name that a model could have."""


@dataclass(frozen=True)
class ModelFolder:
    """One model, as a look at its folder found it."""

    name: str
    home: Path
    """Where its serving.json is."""
    versions: dict[int, Path]
    """Ascending."""


def model_folder(root: Path, name: str) -> ModelFolder:
    """A model of a folder of models; without versions where it isn't there. Raises StoreError where it can't be
    read."""
    return ModelFolder(name, root / name, _numbered(root / name))


def single_model(root: Path, name: str | None = None) -> ModelFolder | None:
    """The only model of `root`; None: it is a folder of models, or empty.

    A version is a folder with a manifest in it. The model is called `name`, else as its folder is; a version whose
    folder has no number is 1. Raises StoreError where `root` can't be read, or could be taken for two of the three.
    """
    numbered = _numbered(root)
    versions = [number for number, path in numbered.items() if _is_version(path)]
    itself = _is_version(root)
    if not versions and not itself:
        return None
    models = [model for model in folders(root, MODEL_NAME) if _holds_versions(root / model)]
    held = {
        f"a {MANIFEST}, as a version has": itself,
        f"versions, as a model has ({', '.join(map(str, sorted(versions)))})": versions,
        f"models, as a store has ({', '.join(sorted(models))})": models,
    }
    if sum(map(bool, held.values())) > 1:
        raise StoreError(f"in {root} are {' and '.join(what for what in held if held[what])}: name one of them")
    home = root.resolve()  # what a link points to has the name that was meant
    if versions:
        return ModelFolder(_first_name(name, home.name), root, numbered)
    if VERSION.fullmatch(home.name):
        return ModelFolder(_first_name(name, home.parent.name), root, {int(home.name): root})
    return ModelFolder(_first_name(name, home.name), root, {1: root})


def folders(parent: Path, pattern: re.Pattern[str]) -> list[str]:
    """Names of those in `parent` that match; none where it isn't there. Raises StoreError where it can't be read."""
    try:
        return [entry.name for entry in os.scandir(parent) if pattern.fullmatch(entry.name) and entry.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{parent} can't be read: {error}") from error


def _numbered(parent: Path) -> dict[int, Path]:
    return {number: parent / str(number) for number in sorted(map(int, folders(parent, VERSION)))}


def _first_name(*names: str | None) -> str:
    return next((name for name in names if name and MODEL_NAME.fullmatch(name)), UNNAMED)


def _is_version(folder: Path) -> bool:
    return os.path.isfile(folder / MANIFEST)  # False too where it may not be looked at


def _holds_versions(folder: Path) -> bool:
    return any(_is_version(folder / entry) for entry in folders(folder, VERSION))
