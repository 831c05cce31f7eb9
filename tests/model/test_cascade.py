"""A cascade: what the narrow network is sure of never reaches the full one, and everything else does."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model import manifest as manifests
from model.artifact import MANIFEST, ONNX_NARROW_INT8
from model.detector import Detector, VariantChoice, load_detector, reopen_detector
from model.engines.cascade import CascadeEngine
from model.engines.output import NetworkOutput
from model.errors import GoldenOutputError, ManifestError, MissingFileError
from model.evidence import Pooling
from model.roi import Roi
from model.serving import Serving
from model.tiles import Tiling
from tests.support.artifacts import NETWORK, appearance_of, pattern, publish, random_weights
from tests.support.cascade import CASCADE, add_cascade, put_narrow
from training.export.onnx_graph import onnx_model

ORDINARY = np.linspace(1, 2, 8, dtype=np.float32)
FEATURES = np.stack([ORDINARY, ORDINARY[::-1]])
"""What training images look like."""


@dataclass
class Planned:
    """Gives each image of one colour the evidence that is planned for it, everywhere."""

    evidence: list[float]
    features: NDArray[np.float32] = field(default_factory=lambda: ORDINARY)
    name: Any = "onnxruntime"
    device: str = "cpu"
    max_concurrency: int = 2
    preferred_batch_size: int = 4
    seen: list[list[int]] = field(default_factory=list)
    exclusive: list[bool] = field(default_factory=list)

    def run(self, pixels: NDArray[np.uint8], *, exclusive: bool = True) -> NetworkOutput:
        numbers = pixels[:, 0, 0, 0].tolist()
        self.seen.append(numbers)
        self.exclusive.append(exclusive)
        maps = np.array([np.full((2, 2), self.evidence[number]) for number in numbers], np.float32)
        return NetworkOutput(maps, np.tile(self.features, (len(numbers), 1)), np.full_like(maps, 0.5))


def images(*numbers: int) -> NDArray[np.uint8]:
    """One a number, of that colour."""
    return np.stack([np.full((32, 32, 3), number, np.uint8) for number in numbers])


def cascade_of(narrow: Planned, full: Planned, **changes: Any) -> CascadeEngine:
    """Clears up to −3 on the full network's scale."""
    engine = CascadeEngine(narrow, full, CASCADE, Pooling(), -3.0, appearance_of(FEATURES), 2.0, 1.0, None)
    return replace(engine, **changes)


def test_only_what_is_not_cleared_reaches_the_full_network() -> None:
    # With its context of 0.5 the narrow one's pooled evidence is 2·e, its own scale's 2·(e + 0.5) − 1.
    narrow, full = Planned([-4.0, 0.0, -1.5, -1.4, np.nan]), Planned([9.0, 5.0, 9.0, -7.0, 6.0])
    output = cascade_of(narrow, full).run(images(0, 1, 2, 3, 4), exclusive=False)
    assert (narrow.seen, full.seen) == ([[0, 1, 2, 3, 4]], [[1, 3, 4]])
    assert (narrow.exclusive, full.exclusive) == ([False], [False])
    assert output.whole.mean((1, 2)).tolist() == pytest.approx([-8.0, 5.5, -3.0, -6.5, 6.5])
    assert output.cleared is not None
    assert output.cleared.tolist() == [True, False, True, False, False]
    assert [None if each.cleared is None else each.cleared.tolist() for each in output.split()[:2]] == [[True], [False]]
    assert output.evidence.dtype == output.features.dtype == np.float32


def test_a_cleared_image_has_the_narrow_ones_image_head_on_the_full_ones_scale() -> None:
    output = cascade_of(Planned([-4.0]), Planned([9.0])).run(images(0))
    frame = Tiling(32).merge(output, 32, 32, 1)
    assert (frame.cleared, frame.head) == (True, 2 * 0.5)
    assert frame.evidence.tolist() == [[-8.0] * 2] * 2


def test_where_all_are_cleared_the_full_network_is_not_asked() -> None:
    full = Planned([9.0, 9.0])
    cascade_of(Planned([-4.0, -5.0]), full).run(images(0, 1))
    assert full.seen == []


def test_where_none_is_the_full_networks_output_is_the_answer() -> None:
    full = Planned([7.0, 8.0])
    output = cascade_of(Planned([3.0, 3.0]), full).run(images(0, 1))
    assert output.cleared is not None
    assert not output.cleared.any()
    for one, other in zip(output._replace(cleared=None), full.run(images(0, 1)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_image_that_looks_unlike_the_training_images_is_not_cleared() -> None:
    strange = np.array([9, 0, 0, 0, 0, 0, 0, 0], np.float32)
    full = Planned([-4.0])
    cascade_of(Planned([-4.0], strange), full).run(images(0))
    assert full.seen == [[0]]


def test_distances_are_on_the_full_networks_scale() -> None:
    appearance = appearance_of(FEATURES)
    engine = cascade_of(Planned([-4.0]), Planned([0.0]), cascade=replace(CASCADE, distance_scale=2.0))
    ordinary = appearance.distance(ORDINARY[np.newaxis])
    far = appearance.distance(engine.run(images(0)).features)
    assert far == pytest.approx(ordinary / 2, rel=0.05)


def test_what_lies_outside_the_region_of_interest_clears_nothing_and_stops_nothing() -> None:
    inside = np.zeros((32, 32), np.bool_)
    inside[:16, :16] = True
    evidence = np.array([[[-9.0, 50.0], [50.0, 50.0]], [[9.0, -50.0], [-50.0, -50.0]]], np.float32)
    engine = cascade_of(Planned([0.0]), Planned([0.0]), roi=Roi(inside), pooling=Pooling(strongest=1), appearance=None)
    output = NetworkOutput(evidence, np.zeros((2, 0), np.float32))
    assert engine.cleared(output).tolist() == [True, False]


def test_it_is_the_full_networks_for_everybody_else() -> None:
    engine = cascade_of(Planned([0.0]), Planned([0.0], device="there", max_concurrency=7, preferred_batch_size=3))
    assert (engine.name, engine.device) == ("onnxruntime", "there")
    assert (engine.max_concurrency, engine.preferred_batch_size) == (7, 3)


# Of a version


@pytest.fixture
def version(tmp_path: Path) -> Path:
    path = publish(tmp_path, onnx=True, slope=1.0)
    add_cascade(path, margin=-100.0)  # it clears whatever looks like the training images
    return path


def log_odds(detector: Detector) -> float:
    """Of a golden image."""
    return detector.verdict(detector.run(pattern(0)).evidence).log_odds


def test_it_serves_before_every_other_variant_and_by_its_name(version: Path) -> None:
    served, named, full = (load_detector(version, "cpu", variant=variant) for variant in ("auto", "cascade", "float32"))
    assert (served.variant.name, named.variant.name) == ("cascade", "cascade")
    assert isinstance(served.engine, CascadeEngine)
    assert log_odds(served) == log_odds(named)
    assert abs(log_odds(served) - log_odds(full)) > 0.01
    again = reopen_detector(version, "cpu", served.terms, "onnxruntime")
    assert log_odds(again) == log_odds(served)


@pytest.mark.parametrize(
    ("serving", "clears"),
    [
        (Serving(), True),
        (Serving(thresholds=0.5), True),
        (Serving(defect_rate=0.01), True),
        (Serving(thresholds=0.1), False),
        (Serving(thresholds=0.0), False),
    ],
)
def test_where_less_is_accepted_than_it_was_measured_for_the_full_network_decides_alone(
    version: Path, serving: Serving, clears: bool
) -> None:
    served = load_detector(version, "cpu").under(serving)
    assert isinstance(served.engine, CascadeEngine)
    assert served.running is (served.engine if clears else served.engine.full)
    full = load_detector(version, "cpu", variant="float32").under(serving)
    assert (log_odds(served) == pytest.approx(log_odds(full), abs=1e-4)) is not clears


def test_a_narrow_network_that_gives_something_else_here_does_not_serve(version: Path) -> None:
    other = onnx_model(random_weights(3), NETWORK, 64).SerializeToString()
    put_narrow(version, manifests.decode((version / MANIFEST).read_bytes()), other)
    detector = load_detector(version, "cpu")
    assert detector.variant.name == "float32"
    assert "golden" in detector.skipped_variants["cascade"]
    with pytest.raises(GoldenOutputError):
        load_detector(version, "cpu", variant="cascade")


def test_a_version_without_its_narrow_file_is_refused(version: Path) -> None:
    (version / ONNX_NARROW_INT8).unlink()
    with pytest.raises(MissingFileError, match=ONNX_NARROW_INT8):
        load_detector(version, "cpu")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("cascade", {"cascade": None}, "must have a narrow network"),
        ("float32", {"cascade": CASCADE}, "must have a narrow network"),
        ("cascade", {"files": {"torch": "weights.safetensors"}}, "files for the same engines"),
    ],
)
def test_a_manifest_with_half_a_cascade_is_refused(
    version: Path, name: VariantChoice, change: dict[str, Any], message: str
) -> None:
    manifest = manifests.decode((version / MANIFEST).read_bytes())
    with pytest.raises(ValueError, match=message):
        replace(manifest.variant(name), **change)


@pytest.mark.parametrize(("member", "value"), [("share", 1), ("slope", 0), ("distance_scale", 0), ("cleared", 1.5)])
def test_a_cascade_with_impossible_values_is_refused(version: Path, member: str, value: float) -> None:
    text = (version / MANIFEST).read_bytes()
    manifest = manifests.decode(text)
    cascade = manifest.variant("cascade").cascade
    assert cascade is not None
    old = f'"{member}": {getattr(cascade, member)}'.encode()
    part = text.index(b'"cascade": {')
    changed = text[:part] + text[part:].replace(old, f'"{member}": {value}'.encode(), 1)
    assert changed != text
    with pytest.raises(ManifestError, match=member):
        manifests.decode(changed)
