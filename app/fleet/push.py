"""Versions from this store to one elsewhere, whole, serving.json and recipes.json."""

from collections.abc import Callable

from app.fleet.remote_store import RemoteStore
from model import recipes
from model.artifact import SUMS, read_artifact
from model.errors import StoreError
from model.files import read_file
from model.recipes import RECIPES
from model.serving import SERVING, encode
from model.store import Store


def push(
    store: Store, remote: RemoteStore, model: str, versions: list[int], *, serving: bool, say: Callable[[str], object]
) -> None:
    """Versions that are there already, and the same, aren't sent again.

    Raises ArtifactError for a version that isn't sound, StoreError where another one of its number is there, or
    RemoteStoreError.
    """
    for version in versions:
        path = store.path(model, version)
        there = remote.read(model, str(version), SUMS)
        if there is None:
            read_artifact(path)
            names = [file.relative_to(path).as_posix() for file in sorted(path.rglob("*")) if file.is_file()]
            remote.publish(path, names, model)
            say(f"version {version} of model {model!r} is at {remote.url}")
        elif there != read_file(path / SUMS):
            raise StoreError(f"{remote.url} has another version {version} of model {model!r}; it stays")
    if serving and (store.root / model / SERVING).exists():
        content = encode(store.serving(model))
        if remote.read(model, SERVING) != content:
            remote.write(content, model, SERVING)
            say(f"{SERVING} of model {model!r} is at {remote.url}")


def push_recipes(store: Store, remote: RemoteStore, say: Callable[[str], object]) -> None:
    """recipes.json, if there is one. Raises RecipesError, StoreError where what it names isn't there yet, or
    RemoteStoreError."""
    if not (store.root / RECIPES).exists():
        return
    wanted = store.recipes()
    for (model, version), number in recipes.needed(wanted).items():
        any_version = next(iter(remote.versions(model)), 0)
        if remote.read(model, str(version or any_version), SUMS) is None:
            named = f"version {version} of model {model!r}" if version else f"model {model!r}"
            raise StoreError(f"{RECIPES} isn't sent: recipe {number}: {remote.url} has no {named}")
    content = recipes.encode(wanted)
    if remote.read(RECIPES) != content:
        remote.write(content, RECIPES)
        say(f"{RECIPES} is at {remote.url}")
