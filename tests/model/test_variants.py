"""Which variant serves: the quickest that runs here, agrees with float32 and reproduces its golden outputs."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model import manifest as manifests
from model.artifact import MANIFEST
from model.detector import load_detector
from model.errors import EngineError, GoldenOutputError
from model.manifest import Agreement, Variant
from tests.support.artifacts import publish, resum

AGREES = Agreement(images=400, median_log_odds_change=0.1, changed_verdicts=2, auroc_change=-0.002)


@pytest.fixture
def version(tmp_path: Path) -> Path:
    return publish(tmp_path, onnx=True)


def add_int8(version: Path, change: Callable[[Variant], Variant]) -> None:
    """float32's file, passed off as int8."""
    read = manifests.decode((version / MANIFEST).read_bytes())
    float32 = read.variant("float32")
    file = float32.files["onnxruntime"]
    int8 = change(replace(float32, name="int8", files={"onnxruntime": file}, agreement=AGREES))
    (version / MANIFEST).write_bytes(manifests.encode(replace(read, variants=[float32, int8])))
    resum(version)


@pytest.mark.parametrize(
    ("change", "violation"),
    [
        ({"median_log_odds_change": 0.11}, r"log-odds differ by 0\.11 in the median \(at most 0\.1\)"),
        ({"changed_verdicts": 3}, r"3 of 400 verdicts differ \(at most 2\)"),
        ({"images": 20, "changed_verdicts": 2}, r"2 of 20 verdicts differ \(at most 1\)"),
        ({"images": 399, "changed_verdicts": 2}, r"2 of 399 verdicts differ \(at most 1\)"),
        ({"auroc_change": -0.0021}, r"AUROC is lower by 0\.0021 \(at most 0\.002\)"),
    ],
)
def test_outside_the_limits(
    version: Path, change: dict[str, Any], violation: str, caplog: pytest.LogCaptureFixture
) -> None:
    add_int8(version, lambda variant: replace(variant, agreement=replace(AGREES, **change)))
    with caplog.at_level(logging.WARNING):
        detector = load_detector(version, "cpu")
    (record,) = caplog.records
    assert f"{version}: variant int8 doesn't serve" in record.message
    assert detector.variant.name == "float32"
    (reason,) = detector.skipped_variants.values()
    with pytest.raises(AssertionError, match=violation):
        raise AssertionError(reason)
    named = load_detector(version, "cpu", variant="int8")
    assert named.variant.name == "int8"


@pytest.mark.parametrize("agreement", [AGREES, replace(AGREES, images=20, changed_verdicts=1, auroc_change=None)])
def test_inside_the_gate(version: Path, agreement: Agreement) -> None:
    add_int8(version, lambda variant: replace(variant, agreement=agreement))
    assert load_detector(version, "cpu").variant.name == "int8"
    assert load_detector(version, "cpu", variant="float32").variant.name == "float32"
    assert load_detector(version, "cpu", engine="torch").variant.name == "float32"


def wrong_golden(variant: Variant) -> Variant:
    return replace(
        variant,
        golden=replace(
            variant.golden,
            tolerance=0.04,
            log_odds={name: value + 0.05 for name, value in variant.golden.log_odds.items()},
        ),
    )


def test_one_that_fails_its_golden_outputs_gives_way(version: Path, caplog: pytest.LogCaptureFixture) -> None:
    add_int8(version, wrong_golden)
    with caplog.at_level(logging.WARNING):
        detector = load_detector(version, "cpu")
    assert (detector.variant.name, detector.engine.name) == ("float32", "onnxruntime")
    assert list(detector.skipped_variants) == ["int8"]
    assert "tolerance 0.04" in detector.skipped_variants["int8"]
    (record,) = caplog.records
    assert "variant int8 by onnxruntime can't serve on this host" in record.message


def test_a_named_one_that_fails_is_not_replaced(version: Path) -> None:
    add_int8(version, wrong_golden)
    with pytest.raises(GoldenOutputError, match="int8 by onnxruntime on cpu"):
        load_detector(version, "cpu", variant="int8")


@pytest.mark.parametrize("choice", [{"variant": "float16"}, {"engine": "torch", "variant": "int8"}])
def test_nothing_can_run(version: Path, choice: dict[str, str]) -> None:
    add_int8(version, lambda variant: variant)
    with pytest.raises(
        EngineError, match=r"has no variant that can run on cpu .* it has float32 for torch and onnxrun"
    ):
        load_detector(version, "cpu", **choice)  # type: ignore[arg-type]


def test_without_onnx_runtime(version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.engines.engine.find_spec", lambda name: None if name == "onnxruntime" else object())
    add_int8(version, lambda variant: variant)
    detector = load_detector(version, "cpu")
    assert (detector.variant.name, detector.engine.name) == ("float32", "torch")
