"""docs/artifact.md names every file of a version, every member of its manifest and every tensor, and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pytest
from safetensors.numpy import load

from model import artifact
from model.appearance import encode_appearance
from model.figures import Decisions, Estimate, Figures
from model.hypercolumn import Hypercolumn
from model.manifest import Manifest
from model.manifest_schema import SCHEMA
from model.signatures import SIGNATURE
from model.trunk_choice import TrunkTrial
from model.weights import tensor_shapes
from tests.support.artifacts import appearance_of

PAGE: Final = (Path(__file__).parents[2] / "docs" / "artifact.md").read_text("utf-8")
APART: Final = (Figures, Estimate, Decisions, TrunkTrial)
"""Types with a table of their own."""


def rows(heading: str) -> dict[str, str]:
    """Second columns of the tables under a heading, by the code in the first."""
    (section,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]*) \|", section, re.MULTILINE))


def members(of: Any, prefix: str = "") -> Iterator[str]:
    """Dotted names of a type's members: `[]` after a list, `KIND` for the keys of an object that are kinds."""
    match of:
        case msgspec.inspect.DataclassType(cls=cls) if prefix and cls in APART:
            return
        case msgspec.inspect.DataclassType(fields=fields):
            for field in fields:
                name = f"{prefix}.{field.encode_name}" if prefix else field.encode_name
                yield name
                yield from members(field.type, name)
        case msgspec.inspect.UnionType(types=types):
            for each in types:
                yield from members(each, prefix)
        case msgspec.inspect.ListType(item_type=item):
            yield from members(item, f"{prefix}[]")
        case msgspec.inspect.DictType(value_type=value):
            yield from members(value, f"{prefix}.KIND")
        case _:
            pass


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("manifest.json", Manifest),
        ("Figures", Figures),
        ("Estimates", Estimate),
        ("Decisions", Decisions),
        ("Trials", TrunkTrial),
    ],
)
def test_every_member_has_a_row(heading: str, kind: type) -> None:
    assert list(rows(heading)) == list(members(msgspec.inspect.type_info(kind)))


def test_every_file_has_a_row() -> None:
    named = {artifact.MANIFEST, artifact.SUMS, artifact.WEIGHTS, artifact.ONNX, artifact.ONNX_INT8, artifact.GATE}
    named |= {artifact.ROI, artifact.ONNX_NARROW_INT8, SIGNATURE}
    assert set(rows("Files")) == named | {"golden/N.png", "report/report.html", "report/report.json"}


@pytest.mark.parametrize(
    "hypercolumn",
    [
        Hypercolumn(),
        Hypercolumn((2, 3, 4), 8, image_head=True),
        Hypercolumn((2, 3, 4), 8, image_head=True, head_apart=True),
    ],
    ids=str,
)
def test_every_tensor_has_a_row_with_its_shape(hypercolumn: Hypercolumn) -> None:
    shapes = rows("weights.safetensors")
    assert shapes.keys() == tensor_shapes(Hypercolumn(image_head=True, head_apart=True)).keys()
    for name, shape in tensor_shapes(hypercolumn).items():
        written, _, _ = shapes[name].replace("inputs", str(hypercolumn.inputs)).partition(",")
        assert written == " × ".join(map(str, shape)), name


def test_every_tensor_of_the_gate_has_a_row() -> None:
    assert rows("gate.safetensors").keys() == load(encode_appearance(appearance_of(np.ones((2, 3), np.float32)))).keys()


def test_the_schema_number_is_the_one_that_is_read() -> None:
    assert f"this Camspector writes and reads schema {SCHEMA}" in PAGE
