"""A version with a cascade, whose networks are nothing alike."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from model import manifest as manifests
from model.artifact import MANIFEST, ONNX, ONNX_NARROW_INT8, read_artifact
from model.engines.engine import open_engine
from model.hypercolumn import narrow_widths
from model.manifest import Agreement, Cascade, Golden, Manifest, Variant
from tests.support.artifacts import NETWORK, random_weights, resum
from training.export.onnx_graph import onnx_model

CASCADE: Final = Cascade(
    files={"onnxruntime": ONNX_NARROW_INT8},
    share=0.25,
    slope=2.0,
    offset=-1.0,
    margin=0.5,
    distance_scale=1.0,
    cleared=0.7,
)


def add_cascade(version: Path, **changes: Any) -> None:
    """A variant whose full network is float32's file, and whose narrow one is another network altogether."""
    read = manifests.decode((version / MANIFEST).read_bytes())
    float32 = read.variant("float32")
    weights = random_weights(2, replace(NETWORK, trunk=narrow_widths(0.25)))
    model = onnx_model(weights, replace(NETWORK, trunk=narrow_widths(0.25)), read.preprocessing.input_size)
    (version / ONNX_NARROW_INT8).write_bytes(model.SerializeToString())
    cascade = replace(CASCADE, slope=1.0, offset=0.5, **changes)
    variant = replace(
        float32,
        name="cascade",
        files={"onnxruntime": ONNX},
        agreement=Agreement(400, 0.0, 0, 0.0),
        cascade=cascade,
    )

    def write(variant: Variant) -> None:
        put_narrow(version, replace(read, variants=[float32, variant]))

    write(variant)
    artifact = read_artifact(version)
    golden, names = variant.golden, list(variant.golden.log_odds)
    output = open_engine(artifact, variant, "cpu", "onnxruntime").run(artifact.golden_pixels(names))
    assert artifact.appearance is not None
    distances = artifact.appearance.distance(output.features).tolist()
    log_odds = read.pooling(output.whole).tolist()
    write(replace(variant, golden=golden_of(golden, names, log_odds, distances)))


def put_narrow(version: Path, manifest: Manifest, file: bytes | None = None) -> None:
    """Write a manifest that knows the digest of the narrow network's file, or of another in its place."""
    if file is not None:
        (version / ONNX_NARROW_INT8).write_bytes(file)
    digest = hashlib.sha256((version / ONNX_NARROW_INT8).read_bytes()).hexdigest()
    changed = replace(manifest, files={**manifest.files, ONNX_NARROW_INT8: digest})
    (version / MANIFEST).write_bytes(manifests.encode(changed))
    resum(version)


def golden_of(golden: Golden, names: list[str], log_odds: list[float], distances: list[float]) -> Golden:
    return replace(
        golden,
        log_odds=dict(zip(names, log_odds, strict=True)),
        distances=dict(zip(names, distances, strict=True)),
    )
