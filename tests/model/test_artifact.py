"""Every way in which a version can be broken has its name."""

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_torch_file
from safetensors.torch import save_file as save_torch_file

from model import errors
from model.artifact import GATE, SUMS, read_artifact
from model.detector import load_detector
from tests.support.artifacts import INPUT_SIZE, publish, resum

WEIGHTS = "weights.safetensors"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("store"))


@pytest.fixture
def version(sound: Path, tmp_path: Path) -> Path:
    return shutil.copytree(sound, tmp_path / "7")


def edit(version: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest, and keep the digests true to the files."""
    path = version / "manifest.json"
    manifest = json.loads(path.read_text())
    for name in manifest["files"]:
        if (version / name).exists():
            manifest["files"][name] = hashlib.sha256((version / name).read_bytes()).hexdigest()
    change(manifest)
    path.write_text(json.dumps(manifest))
    resum(version)


def unchanged(_: dict[str, Any]) -> None:
    pass


def rewrite(version: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the tensors."""
    tensors = load_file(version / WEIGHTS)
    change(tensors)
    save_file(tensors, version / WEIGHTS)
    edit(version, unchanged)


def test_a_sound_version_loads(version: Path) -> None:
    detector = load_detector(version, "cpu")
    assert (detector.input_size, detector.variant.name, detector.engine.device) == (INPUT_SIZE, "float32", "cpu")


@pytest.mark.parametrize("name", ["manifest.json", WEIGHTS, "golden/0.png", SUMS])
def test_a_missing_file_is_named(version: Path, name: str) -> None:
    (version / name).unlink()
    with pytest.raises(errors.MissingFileError, match=f"7/{name} is missing"):
        load_detector(version, "cpu")


@pytest.mark.parametrize("name", [WEIGHTS, "golden/0.png"])
def test_a_changed_file_is_named(version: Path, name: str) -> None:
    data = bytearray((version / name).read_bytes())
    data[-1] ^= 1
    (version / name).write_bytes(data)
    with pytest.raises(errors.DigestError, match=f"7/{name} is not the file that was exported"):
        load_detector(version, "cpu")


@pytest.mark.parametrize("offset", range(0, 6000, 307))
def test_one_changed_character_is_found_wherever_it_is(sound: Path, tmp_path: Path, offset: int) -> None:
    """In the manifest, of which much decides and little can be checked by itself, or in the sums."""
    for name in ("manifest.json", SUMS):
        version = tmp_path / name / "7"
        shutil.copytree(sound, version, copy_function=lambda source, copy: Path(copy).hardlink_to(source))
        data = bytearray((version / name).read_bytes())
        data[offset % len(data)] ^= 1
        (version / name).unlink()
        (version / name).write_bytes(data)
        with pytest.raises(errors.ArtifactError, match=f"{SUMS}|manifest.json"):
            read_artifact(version)


def test_a_changed_calibration_does_not_serve(version: Path) -> None:
    path = version / "manifest.json"
    path.write_text(path.read_text().replace('"slope": 10.0', '"slope": 10.1'))
    with pytest.raises(errors.DigestError, match=r"7/manifest\.json is not the file that was exported: its SHA-256"):
        load_detector(version, "cpu")


def test_sha256sum_checks_a_version(version: Path) -> None:
    def said() -> tuple[int, str]:
        done = subprocess.run(["sha256sum", "-c", SUMS], cwd=version, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    names = [GATE, "golden/0.png", "golden/1.png", "golden/2.png", "manifest.json", WEIGHTS]
    assert said() == (0, "".join(f"{name}: OK\n" for name in names))
    (version / WEIGHTS).write_bytes(b"")
    status, lines = said()
    assert (status, f"{WEIGHTS}: FAILED\n" in lines) == (1, True)


def test_sums_that_sha256sum_wrote_are_read(version: Path) -> None:
    """`*` marks files that were read as binary."""
    command = "sha256sum manifest.json *.safetensors golden/* > SHA256SUMS"
    subprocess.run(command, cwd=version, shell=True, check=True)
    load_detector(version, "cpu")
    (version / SUMS).write_text((version / SUMS).read_text().replace("  ", " *"))
    load_detector(version, "cpu")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1 is no SHA-256"),
        (b"\xff\xfe", "can't be read: not UTF-8"),
        (b"# sums\n", "line 1 is no SHA-256 and name, as sha256sum writes them"),
        (b"0" * 63 + b"  manifest.json\n", "line 1 is no SHA-256"),
        (b"0" * 64 + b"\n", "line 1 is no SHA-256"),
        (b"0" * 64 + b"  golden/0.png\n", "gives no SHA-256 of manifest.json"),
    ],
)
def test_sums_that_are_none(version: Path, content: bytes, message: str) -> None:
    (version / SUMS).write_bytes(content)
    with pytest.raises(errors.SumsError, match=f"7/{SUMS}.*{re.escape(message)}"):
        load_detector(version, "cpu")


def test_a_file_that_sums_and_manifest_know_differently(version: Path) -> None:
    """And `sha256sum -c` finds nothing: the sums alone were made anew over a file that isn't the exported one."""
    (version / WEIGHTS).write_bytes(b"other")
    resum(version)
    with pytest.raises(errors.DigestError, match=f"7/{WEIGHTS} is not the file that was exported"):
        load_detector(version, "cpu")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1, 2]", b"\xff\xfe", b'{"schema": 4}', b'{"schema":' + b"[" * 100_000]
)
def test_a_manifest_that_is_none(version: Path, content: bytes) -> None:
    (version / "manifest.json").write_bytes(content)
    with pytest.raises(errors.ManifestError, match=r"7/manifest\.json can't be read"):
        load_detector(version, "cpu")


def test_a_manifest_as_windows_saves_it(version: Path) -> None:
    path = version / "manifest.json"
    text = path.read_text()
    path.write_text(text.replace("\n", "\r\n"), "utf-8-sig", newline="")
    resum(version)
    assert load_detector(version, "cpu").variant.name == "float32"
    path.write_text(text, "utf-16")
    resum(version)
    with pytest.raises(errors.ManifestError, match=r"7/manifest\.json can't be read: it is in UTF-16"):
        load_detector(version, "cpu")


@pytest.mark.parametrize(
    ("schema", "remedy"),
    [
        (1, "it was made before release 0.1.0, and no release reads it: train the model again"),
        (2, "it was made before release 0.1.0, and no release reads it: train the model again"),
        (5, "a newer Camspector made it, and reads it"),
        (0, "Camspector never wrote such a manifest"),
        ("4", "Camspector never wrote such a manifest"),
        (None, "Camspector never wrote such a manifest"),
    ],
)
def test_another_schema_is_refused_by_name_with_what_to_do(version: Path, schema: object, remedy: str) -> None:
    edit(version, lambda manifest: manifest.update(schema=schema))
    expected = re.escape(f"7/manifest.json has schema {schema!r}; this program reads schemas 3 and 4: {remedy}")
    with pytest.raises(errors.SchemaError, match=f"{expected}$"):
        load_detector(version, "cpu")


def test_a_manifest_of_schema_2_as_once_written_is_refused_by_its_number(version: Path) -> None:
    """Its members have other names, but no error speaks of them."""
    (version / "manifest.json").write_text('{"schema": 2, "operation": {"says": "", "keeps_verdicts": true}}')
    with pytest.raises(errors.SchemaError, match=r"has schema 2.*train the model again"):
        load_detector(version, "cpu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("pooling"), "pooling"),
        (lambda m: m["pooling"].update(top_share=0.0), "> 0.0.*top_share"),
        (lambda m: m["pooling"].update(top_share=1.5), "<= 1.0.*top_share"),
        (lambda m: m["preprocessing"].update(input_size=100), "multiple of 16.*input_size"),
        (lambda m: m["preprocessing"].update(full_scale=255), "full_scale"),
        (lambda m: m.update(classes=["anomaly", "good"]), r"classes"),
        (lambda m: m.update(variants=[]), "variants"),
        (lambda m: m["variants"][0].update(name="float64"), "name"),
        (lambda m: m["variants"].append(m["variants"][0]), "variants must be different"),
        (lambda m: m["variants"][0]["thresholds"].update(label=0.9), "review ≤ label ≤ reject"),
        (lambda m: m["variants"][0]["heatmap_scale"].update(region_threshold=-99.0), "must lie above"),
        (lambda m: m["variants"][0]["calibration"].update(slope="steep"), "slope"),
        (lambda m: m["variants"][0]["golden"].update(log_odds={}), "log_odds"),
        (lambda m: m["data"].update(images=0), "images"),
        (lambda m: m["files"].update({WEIGHTS: "no digest"}), "files"),
    ],
)
def test_the_member_that_is_wrong_is_named(
    version: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    edit(version, change)
    with pytest.raises(errors.ManifestError, match=message):
        load_detector(version, "cpu")


@pytest.mark.parametrize("name", ["../../secret", "/etc/hostname", "", ".", "a\0b"])
def test_a_manifest_can_not_name_files_outside(version: Path, name: str) -> None:
    edit(version, lambda manifest: manifest["files"].update({name: "0" * 64}))
    with pytest.raises(errors.ManifestError, match="no file within the version"):
        load_detector(version, "cpu")


def test_a_file_that_serves_must_have_a_digest(version: Path) -> None:
    edit(version, lambda manifest: manifest["files"].pop(WEIGHTS))
    with pytest.raises(errors.ManifestError, match=rf"gives no SHA-256 of {WEIGHTS}"):
        load_detector(version, "cpu")


@pytest.mark.parametrize("length", [0, 4, 100, 1_000_000])
def test_truncated_weights(version: Path, length: int) -> None:
    data = (version / WEIGHTS).read_bytes()
    (version / WEIGHTS).write_bytes(data[:length])
    edit(version, unchanged)
    with pytest.raises(errors.WeightsFormatError, match="not a whole safetensors file"):
        load_detector(version, "cpu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("conv2_2.bias"), r"lacks conv2_2\.bias"),
        (lambda t: t.update(extra=np.zeros(1, np.float32)), "holds extra"),
        (lambda t: t.update({"dense.weight": t["dense.weight"][:1].copy()}), r"dense\.weight is float32 \(1, 128\)"),
        (lambda t: t.update({"dense.bias": t["dense.bias"].astype(np.float64)}), r"dense\.bias is float64"),
    ],
)
def test_shapes_that_do_not_fit(version: Path, change: Callable[[dict[str, Any]], object], message: str) -> None:
    rewrite(version, change)
    with pytest.raises(errors.ShapeError, match=message):
        load_detector(version, "cpu")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers(version: Path, value: float) -> None:
    rewrite(version, lambda tensors: tensors["conv2_1.weight"].__setitem__((0, 0, 0, 0), value))
    with pytest.raises(errors.NonFiniteWeightsError, match=r"conv2_1\.weight holds NaN or infinite"):
        load_detector(version, "cpu")


def test_golden_outputs_that_are_not_reproduced(version: Path) -> None:
    rewrite(version, lambda tensors: tensors["dense.bias"].__iadd__(np.array([0, 0.01], np.float32)))
    with pytest.raises(errors.GoldenOutputError, match=r"float32 by torch on cpu gives golden/0\.png log-odds of"):
        load_detector(version, "cpu")


def test_a_golden_image_of_another_size(version: Path) -> None:
    Image.new("RGB", (32, 32)).save(version / "golden/0.png")
    edit(version, unchanged)
    with pytest.raises(errors.ManifestError, match=r"golden/0\.png is \(32, 32\), not 64×64"):
        load_detector(version, "cpu")


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n", b"text", b""])
def test_a_golden_image_that_is_none(version: Path, content: bytes) -> None:
    (version / "golden/0.png").write_bytes(content)
    edit(version, unchanged)
    with pytest.raises(errors.ManifestError, match=r"golden/0\.png: "):
        load_detector(version, "cpu")


def test_weights_of_a_number_type_that_numpy_lacks(version: Path) -> None:
    halves = {name: values.bfloat16() for name, values in load_torch_file(version / WEIGHTS).items()}
    save_torch_file(halves, version / WEIGHTS)
    assert b'"BF16"' in (version / WEIGHTS).read_bytes()
    edit(version, unchanged)
    with pytest.raises(errors.WeightsFormatError, match=r"not a whole safetensors file of float32: .*(BF16|bfloat16)"):
        load_detector(version, "cpu")


@pytest.mark.parametrize("name", ["manifest.json", WEIGHTS, "golden/0.png", SUMS])
def test_a_folder_instead_of_a_file(version: Path, name: str) -> None:
    (version / name).unlink()
    (version / name).mkdir()
    with pytest.raises(errors.UnreadableFileError, match=f"7/{name} can't be read: Is a directory"):
        load_detector(version, "cpu")


def test_evidence_that_is_no_number_is_the_engines_error(version: Path) -> None:
    with pytest.raises(errors.EngineError, match="is not finite"):
        load_detector(version, "cpu").verdict(np.full((4, 4), np.nan, np.float32))


def test_unknown_members_do_no_harm(version: Path) -> None:
    edit(version, lambda manifest: manifest.update(remark="from a later minor version"))
    assert load_detector(version, "cpu").variant.name == "float32"
