"""Versions from this store to one elsewhere, whole, and serving.json."""

from collections.abc import Callable

from app.fleet.remote_store import RemoteStore
from model.artifact import SUMS, read_artifact
from model.errors import StoreError
from model.files import read_file
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
