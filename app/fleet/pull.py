"""Versions from a store elsewhere into this one: whole, as their sums and signatures say, or not at all."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.fleet.remote_store import RemoteStore
from app.score.errors import UsageError
from model import recipes
from model import serving as servings
from model.artifact import SUMS, is_inside, parse_sums
from model.errors import (
    CamspectorError,
    DigestError,
    RecipesError,
    ServingError,
    SignatureError,
    StoreError,
    SumsError,
)
from model.files import read_file, sha256_of
from model.locks import locked_by_another
from model.recipes import RECIPES
from model.serving import SERVING
from model.signatures import SIGNATURE, TrustedKeys
from model.store import Store, settle
from model.store_layout import single_model

_DRAFT: Final = ".pull-"
"""Beside the versions: what has such a name isn't whole, and the next pull goes on with it."""


@dataclass(frozen=True)
class Pull:
    """From `remote` into `store`. Nothing in the store is deleted, and no version is written over."""

    remote: RemoteStore
    store: Store
    trusted: TrustedKeys | None
    """None: signatures aren't looked at."""
    say: Callable[[str], object]

    def model(self, name: str, *, serving: bool) -> list[str]:
        """What went wrong, in words; the rest of the model's versions came. Raises RemoteStoreError.

        `serving`: whether serving.json comes, too, when the version that it pins is there.
        """
        problems = []
        for version in self.remote.versions(name):
            try:
                self._version(name, version)
            except (CamspectorError, OSError) as error:
                problems.append(f"version {version} of model {name!r} isn't taken: {error}")
        if serving:
            try:
                self._serving(name)
            except CamspectorError as error:
                problems.append(f"{SERVING} of model {name!r} isn't taken: {error}")
        return problems

    def _version(self, model: str, version: int) -> None:
        sums = self.remote.read(model, str(version), SUMS)
        if sums is None:
            return  # it is being pushed
        home = self.store.root / model
        if (target := home / str(version)).exists():
            if read_file(target / SUMS) != sums:
                raise StoreError(f"{target} is another one; it stays")
            return
        source = f"{self.remote.url}/{model}/{version}"
        signature = self.remote.read(model, str(version), SIGNATURE)
        if self.trusted:
            if signature is None:
                raise SignatureError(f"{source} isn't signed, and only signed versions are trusted")
            self.trusted.check_sums(sums, signature, source)
        draft = home / f"{_DRAFT}{version}"
        draft.mkdir(parents=True, exist_ok=True)
        digests = parse_sums(sums, f"{source}/{SUMS}")
        self._remove_others(draft, {*digests})
        for name, digest in digests.items():
            self._file(draft, (model, str(version)), name, digest)
        (draft / SUMS).write_bytes(sums)
        if signature is not None:
            (draft / SIGNATURE).write_bytes(signature)
        settle(draft)
        draft.rename(target)
        settle(home, deep=False)
        self.say(f"version {version} of model {model!r} is there")

    def _file(self, draft: Path, steps: tuple[str, str], name: str, digest: str) -> None:
        """One that was fetched before the last pull was broken off isn't fetched again."""
        if not is_inside(name):
            raise SumsError(f"{SUMS} names {name!r}, which is no file within the version")
        path = draft / name
        if path.is_file() and sha256_of(path) == digest:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self.remote.fetch(path, *steps, name)
        if sha256_of(path) != digest:
            path.unlink()
            raise DigestError(f"{name} is not the file that was exported: its SHA-256 differs from that in {SUMS}")

    def _remove_others(self, draft: Path, names: set[str]) -> None:
        """What an earlier pull of another version with this number has left."""
        for path in [path for path in draft.rglob("*") if not path.is_dir() or path.is_symlink()]:
            if path.relative_to(draft).as_posix() not in names or path.is_symlink():
                path.unlink()

    def _serving(self, model: str) -> None:
        content = self.remote.read(model, SERVING)
        if content is None:
            return
        config = servings.decode(content, f"{self.remote.url}/{model}/{SERVING}")
        if config.version is not None and not (self.store.root / model / str(config.version)).exists():
            raise StoreError(f"it pins version {config.version}, which isn't here")
        home = self.store.root / model
        if home.exists() and _differs(home / SERVING, lambda: self.store.serving(model), config):
            self.store.set_serving(model, config)
            self.say(f"{SERVING} of model {model!r}: {config}")

    def recipes(self) -> list[str]:
        """What went wrong with recipes.json, in words. It comes when all that it names is there."""
        try:
            self._recipes()
        except CamspectorError as error:
            return [f"{RECIPES} isn't taken: {error}"]
        return []

    def _recipes(self) -> None:
        content = self.remote.read(RECIPES)
        if content is None:
            return
        wanted = recipes.decode(content, f"{self.remote.url}/{RECIPES}")
        for (model, version), number in recipes.needed(wanted).items():
            try:
                self.store.path(model, version)
            except CamspectorError as error:
                raise StoreError(f"recipe {number}: {error}") from error
        if _differs(self.store.root / RECIPES, self.store.recipes, wanted):
            self.store.set_recipes(wanted)
            self.say(f"{RECIPES}: recipes {', '.join(map(str, wanted)) or 'none'}")


def _differs(path: Path, read: Callable[[], object], wanted: object) -> bool:
    """Whether a file is to be written: it isn't there, says something else, or can't be read."""
    try:
        return not path.exists() or read() != wanted
    except (ServingError, RecipesError):
        return True


@contextmanager
def alone(store: Store) -> Iterator[None]:
    """One pull at a time. Raises UsageError."""
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        if single_model(store.root):
            raise UsageError(f"{store.root} is a model's own folder, or a version's: name the store above it")
        descriptor = os.open(store.root, os.O_RDONLY)
    except OSError as error:
        raise UsageError(f"the store {store.root} can't be written: {error.strerror}") from None
    try:
        if locked_by_another(descriptor):
            raise UsageError(f"another pull writes into {store.root}")
        yield
    finally:
        os.close(descriptor)


def remove_drafts(store: Store, model: str, versions: list[int]) -> None:
    """What was begun of versions that aren't offered any more."""
    for draft in (store.root / model).glob(f"{_DRAFT}*"):
        if draft.name.removeprefix(_DRAFT) not in map(str, versions):
            shutil.rmtree(draft, ignore_errors=True)
