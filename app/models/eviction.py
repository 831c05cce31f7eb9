"""Which versions leave the memory when it is more than may be. Pure."""

from collections.abc import Iterator, Mapping

from app.models.model_snapshot import ModelSnapshot

Key = tuple[str, int]


def evictions(snapshot: ModelSnapshot, max_bytes: int, used_at: Mapping[Key, float], keep: Key) -> Iterator[Key]:
    """Least recently used first, until the rest fits; what no request has used before all others.

    `keep` stays, and what serves of resident models: where these alone are too many, there is nothing else to be done.
    """
    excess = snapshot.size - max_bytes
    sizes = {each.key: each.size for model in snapshot.models.values() for each in model.loaded.values()}
    for key in sorted(sizes.keys() - snapshot.residents - {keep}, key=lambda key: (used_at.get(key, 0.0), key)):
        if excess <= 0:
            return
        excess -= sizes[key]
        yield key
