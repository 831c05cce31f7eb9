"""The store, <store>/<model>/<version>/: lists what is there, and publishes versions whole."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from model import recipes
from model import serving as servings
from model.challenge import CHALLENGE
from model.drafts import LOCK, PREFIX, writing
from model.errors import (
    MissingFileError,
    RecipesError,
    ServingError,
    StoreError,
    UnknownModelError,
    UnknownVersionError,
    UnreadableFileError,
)
from model.files import read_file
from model.recipes import RECIPES, ProductRecipes
from model.serving import SERVING, Serving
from model.signatures import SigningKey
from model.store_layout import MODEL_NAME, ModelFolder, folders, model_folder, single_model

_NAMED: Final = 8
"""Names that a message lists at most."""


@dataclass(frozen=True)
class Store:
    """A folder of models, each a folder of numbered versions. Anything else in it is left alone.

    It may also be one model's folder, or one version's (model/store_layout.py): then that is all there is, and nothing
    can be published into it.
    """

    root: Path
    only: str | None = None
    """The name of that one model; None: its folder's."""
    signing_key: SigningKey | None = None
    """With which versions are signed when they are published."""

    def model_folders(self) -> dict[str, ModelFolder | StoreError]:
        """Models that have a version, by name and sorted; of a folder that can't be read, why. Each is looked at once.

        A store that isn't there yet is empty. Raises StoreError where it can't be read.
        """
        if single := single_model(self.root, self.only):
            return {single.name: single}
        found: dict[str, ModelFolder | StoreError] = {}
        for name in sorted(folders(self.root, MODEL_NAME)):
            try:
                folder = model_folder(self.root, name)
            except StoreError as error:
                found[name] = error
            else:
                if folder.versions:
                    found[name] = folder
        return found

    def models(self) -> list[str]:
        """Their names. Raises as `model_folders` does."""
        return list(self.model_folders())

    def versions(self, model: str) -> list[int]:
        """The versions of a model, ascending. Raises StoreError, or UnknownModelError that names the models."""
        return list(self._folder(model).versions)

    def strays(self) -> list[str]:
        """Entries of the store that are neither a model nor a version of one, a sentence for each folder.

        Beside versions, names that begin with a dot are meant to be left alone: so a version comes in whole.
        """
        found = []
        with suppress(StoreError):  # the store can't be read
            if single_model(self.root, self.only):
                return []
            models = self.model_folders()
            found += _left_alone(self.root, {RECIPES, *models}, "models")
            for folder in models.values():
                if isinstance(folder, ModelFolder):
                    found += _left_alone(folder.home, {SERVING, CHALLENGE, *map(str, folder.versions)}, "versions")
        return found

    def path(self, model: str, version: int | None = None) -> Path:
        """A version's folder, the newest where none is named. Raises UnknownModelError or UnknownVersionError."""
        versions = self._folder(model).versions
        number = max(versions) if version is None else version
        if number not in versions:
            raise UnknownVersionError(f"model {model!r} has no version {version}; there are: {[*versions]}")
        return versions[number]

    def publish(self, model: str, fill: Callable[[Path], None]) -> Path:
        """Let `fill` write into an empty folder, then make it the model's newest version in one step.

        Whatever happens before the last step (an exception, Ctrl-C, a full disk) leaves the versions as they were.
        Raises StoreError for a name or a folder that can't be, or where writing fails.
        """
        with self._draft(model) as draft:
            try:
                fill(draft)
                if self.signing_key:
                    self.signing_key.sign(draft)
                settle(draft)
                return self._number(draft, draft.parent)
            except OSError as error:
                raise StoreError(f"writing a version of {model!r} failed: {error}") from error

    def check_writable(self, model: str) -> None:
        """Raise now what `publish` would raise of the name and the folder, before hours of training."""
        with self._draft(model):
            pass

    def serving_version(self, model: str, serving: Serving) -> int:
        """The version that serves: the one that its serving.json pins, else the newest. Raises as `versions` does."""
        return serving.version or self.versions(model)[-1]

    def serving(self, model: str) -> Serving:
        """The contents of the model's serving.json; without one, the defaults. Raises ServingError."""
        try:
            return read_serving(self._home(model))
        except StoreError as error:
            raise ServingError(str(error)) from error

    def recipes(self) -> ProductRecipes:
        """The contents of the store's recipes.json; none without one. Raises RecipesError."""
        path = self.root / RECIPES
        try:
            return recipes.decode(read_file(path), str(path))
        except MissingFileError:
            return {}
        except UnreadableFileError as error:
            raise RecipesError(str(error)) from error

    def set_serving(self, model: str, serving: Serving) -> None:
        """Write the model's serving.json in one step. Raises StoreError."""
        _change(self._home(model) / SERVING, servings.encode(serving))

    def set_recipes(self, wanted: ProductRecipes) -> None:
        """Write the store's recipes.json in one step. Raises StoreError."""
        _change(self.root / RECIPES, recipes.encode(wanted))

    def challenge(self, model: str) -> Path:
        """The folder of the model's challenge images, which may not be there. Raises StoreError."""
        return self._home(model) / CHALLENGE

    def check_challenge(self, model: str, *, replace: bool) -> Path:
        """Raise now what `set_challenge` would raise of the folder, before the images are predicted."""
        folder = self.challenge(model)
        if folder.exists() and not replace:
            raise StoreError(f"{folder} is there already: --replace puts new images in its stead")
        return folder

    def set_challenge(self, model: str, files: Mapping[str, bytes], *, replace: bool) -> Path:
        """Make `files`, by their path within it, the model's challenge folder, and return it.

        One that was there is kept, as `.challenge-previous`.

        Raises StoreError where that can't be written, or is there already and isn't to be replaced.
        """
        folder = self.check_challenge(model, replace=replace)
        with self._draft(model) as draft:
            try:
                for name, content in files.items():
                    (draft / name).parent.mkdir(exist_ok=True)
                    (draft / name).write_bytes(content)
                settle(draft)
                if folder.exists():  # no folder can be renamed onto one that isn't empty
                    shutil.rmtree(previous := folder.with_name(f".{CHALLENGE}-previous"), ignore_errors=True)
                    folder.rename(previous)
                draft.rename(folder)
                _sync(folder.parent)
            except OSError as error:
                raise StoreError(f"{folder} can't be written: {error}") from error
        return folder

    @contextmanager
    def _draft(self, model: str) -> Iterator[Path]:
        """An empty folder beside the model's versions, which is gone at the end, whatever happens, unless it was
        renamed. Raises StoreError for a name or a folder that can't be."""
        if not MODEL_NAME.fullmatch(model):
            raise StoreError(
                f"{model!r} can't be a model's name: lower-case letters, digits, '.', '_' and '-', 64 at most"
            )
        if single := single_model(self.root, self.only):
            raise StoreError(
                f"{self.root} is the model {single.name}'s own folder, or a version's: name the store above it"
            )
        home = self.root / model
        with ExitStack() as stack:
            try:
                for folder in (self.root, home):
                    if not folder.exists():
                        folder.mkdir(parents=True)
                        folder.chmod(0o755)  # whatever the umask: the service may be another user
                stack.enter_context(writing(home))
                draft = Path(tempfile.mkdtemp(prefix=PREFIX, dir=home))
            except OSError as error:
                raise StoreError(f"the store {self.root} can't be written: {error}") from error
            stack.callback(shutil.rmtree, draft, ignore_errors=True)
            yield draft

    def _number(self, draft: Path, home: Path) -> Path:
        number = max(model_folder(self.root, home.name).versions, default=0) + 1
        while True:
            target = home / str(number)
            try:
                draft.rename(target)  # fails where another process has just taken the number
            except OSError:
                if not target.exists():
                    raise
                number += 1
            else:
                _sync(home)
                return target

    def _home(self, model: str) -> Path:
        """The folder of the model's serving.json. Raises StoreError."""
        return self.root if single_model(self.root, self.only) else self.root / model

    def _folder(self, model: str) -> ModelFolder:
        """Of a model that has a version. Raises StoreError, or UnknownModelError that names the models."""
        folder = single_model(self.root, self.only)
        if folder is None and MODEL_NAME.fullmatch(model):
            folder = model_folder(self.root, model)
        if folder is None or folder.name != model or not folder.versions:
            raise UnknownModelError(
                f"no model {model!r} in {self.root}; there are: {', '.join(self.models()) or 'none'}"
            )
        return folder


def read_serving(home: Path) -> Serving:
    """The contents of serving.json in a model's folder; without one, the defaults. Raises ServingError."""
    path = home / SERVING
    try:
        return servings.decode(read_file(path), str(path))
    except MissingFileError:
        return Serving()
    except UnreadableFileError as error:
        raise ServingError(str(error)) from error


def _left_alone(folder: Path, known: Set[str], what: str) -> list[str]:
    """At most one sentence, on entries of a folder that aren't `known`; among versions, hidden ones are left out,
    else those that a writer of recipes.json has for a moment."""
    try:
        names = sorted({_readable(entry.name) for entry in os.scandir(folder)} - known)
    except OSError:
        return []
    hidden = (".",) if what == "versions" else (PREFIX, LOCK)
    names = [name for name in names if not name.startswith(hidden)]
    if not names:
        return []
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return [f"in {folder} these are no {what} and are left alone: {', '.join(names[:_NAMED])}{more}"]


def _readable(name: str) -> str:
    """A name as it can stand in one line of a log."""
    return name if name.isprintable() else ascii(name)


def _change(path: Path, content: bytes) -> None:
    """Raises StoreError."""
    try:
        with writing(path.parent):
            _write(path, content)
            _sync(path.parent)
    except OSError as error:
        raise StoreError(f"{path} can't be changed: {error.strerror}") from error


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, and readable by other users."""
    descriptor, draft = tempfile.mkstemp(prefix=PREFIX, dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            os.fsync(descriptor)
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except OSError:
        os.unlink(draft)
        raise


def settle(folder: Path, *, deep: bool = True) -> None:
    """Make a folder, and all below it unless it isn't `deep`, readable by other users, and be sure that it is on the
    disk. Raises OSError."""
    for path in (folder, *(folder.rglob("*") if deep else ())):
        path.chmod(0o755 if path.is_dir() else 0o644)
        _sync(path)


def _sync(path: Path) -> None:
    """On the disk from now on; not on Windows, which opens no folder, and syncs only what is opened to be written."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
