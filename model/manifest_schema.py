"""The number of the manifest's form: what this program writes and reads, and how it reads the release before
(docs/artifact.md, Compatibility)."""

from typing import Any, Final

from model.errors import SchemaError

SCHEMA: Final = 4

Members = dict[str, Any]


def upgraded(manifest: Members, source: str) -> Members:
    """A manifest as it would stand in this program's schema. What isn't sound stays so, for the reader to name.

    Raises SchemaError, naming `source` and saying what to do, for a schema that isn't read.
    """
    match manifest.get("schema"):
        case int(schema) if schema == SCHEMA:
            return manifest
        case int(schema) if schema == SCHEMA - 1:
            return _from_3(manifest)
        case schema:
            reads = f"this program reads schemas {SCHEMA - 1} and {SCHEMA}"
            raise SchemaError(f"{source} has schema {schema!r}; {reads}: {_remedy(schema)}")


def _from_3(manifest: Members) -> Members:
    """Release 0.1 had no gate, and resized large images from all of their pixels."""
    preprocessing = manifest.get("preprocessing")
    if isinstance(preprocessing, dict):
        preprocessing = preprocessing | {"reduced_decoding": False}
    return manifest | {"schema": 4, "gate": None, "preprocessing": preprocessing}


def _remedy(schema: object) -> str:
    if isinstance(schema, int) and schema > SCHEMA:
        return "a newer Camspector made it, and reads it"
    if schema in (1, 2):
        return "it was made before release 0.1.0, and no release reads it: train the model again"
    return "Camspector never wrote such a manifest"
