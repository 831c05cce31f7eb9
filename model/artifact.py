"""One version on disk: written whole, read with every digest checked (docs/artifact.md).

The manifest has the digest of every file that serves; its own, and all of those again, stand in SHA256SUMS, so that
`sha256sum -c SHA256SUMS` checks a version by hand.
"""

import hashlib
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model import manifest as manifests
from model.appearance import Appearance, read_appearance
from model.errors import DigestError, ImageError, ManifestError, SumsError
from model.files import read_file, sha256_of
from model.image import decode
from model.manifest import Manifest
from model.roi import Roi, read_roi

MANIFEST: Final = "manifest.json"
SUMS: Final = "SHA256SUMS"
WEIGHTS: Final = "weights.safetensors"
GATE: Final = "gate.safetensors"
ROI: Final = "roi.png"
ONNX: Final = "model.onnx"
ONNX_INT8: Final = "model.int8.onnx"
ONNX_NARROW_INT8: Final = "model.narrow.int8.onnx"


@dataclass(frozen=True)
class Artifact:
    """A version whose manifest is sound and whose files are the ones it names."""

    path: Path
    manifest: Manifest

    def file(self, name: str) -> Path:
        return self.path / name

    @cached_property
    def appearance(self) -> Appearance | None:
        """The gate's model of what images look like; None: there is no gate. Raises as `read_appearance` does."""
        if self.manifest.gate is None:
            return None
        network = self.manifest.network
        side = self.manifest.preprocessing.input_size // network.stride
        return read_appearance(self.file(GATE), network.features(side))

    @cached_property
    def roi(self) -> Roi | None:
        """Where an image counts; None: everywhere. Raises as `read_roi` does."""
        preprocessing = self.manifest.preprocessing
        return read_roi(self.file(preprocessing.roi), *preprocessing.resizing.frame_size) if preprocessing.roi else None

    def check(self, names: Iterable[str]) -> None:
        """Raises MissingFileError, UnreadableFileError, or DigestError where one isn't the file of the manifest."""
        for name in names:
            _check_digest(self.file(name), sha256_of(self.file(name)), self.manifest.files[name], MANIFEST)

    def golden_pixels(self, names: list[str]) -> NDArray[np.uint8]:
        """The named golden images, or tiles, uint8 N×S×S×3. Raises ManifestError where one isn't of the input size."""
        size = self.manifest.preprocessing.input_size
        images = []
        for name in names:
            try:
                image = decode(read_file(self.file(name))).convert("RGB")
            except ImageError as error:
                raise ManifestError(f"{self.file(name)}: {error}") from error
            if image.size != (size, size):
                raise ManifestError(f"{self.file(name)} is {image.size}, not {size}×{size}")
            images.append(np.asarray(image))
        return np.stack(images)


def write_artifact(path: Path, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Fill the empty folder `path`; `manifest.files` is set here, from `files`: contents by name within the version."""
    for name, content in files.items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_bytes(content)
    digests = {name: _sha256(content) for name, content in files.items()}
    written = manifests.encode(replace(manifest, files=digests))
    (path / MANIFEST).write_bytes(written)
    _write_sums(path, {MANIFEST: _sha256(written), **digests})


def complete_sums(path: Path) -> None:
    """Let SHA256SUMS have every file of the version, as its report. Raises as `read_sums` does, or OSError."""
    sums = read_sums(path / SUMS)
    names = (file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    others = {name: sha256_of(path / name) for name in names if name not in (SUMS, *sums)}
    _write_sums(path, sums | others)


def _write_sums(path: Path, sums: Mapping[str, str]) -> None:
    (path / SUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())), "utf-8")


def golden_png(pixels: NDArray[np.uint8]) -> bytes:
    """A golden image, uint8 S×S×3, as its file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def read_artifact(path: Path) -> Artifact:
    """Read a version. Raises MissingFileError, UnreadableFileError, ManifestError, SchemaError, SumsError or
    DigestError."""
    source = path / MANIFEST
    content = read_file(source)
    manifest = manifests.decode(content, str(source))
    used = manifest.variant_files | {name for name in (manifest.gate and GATE, manifest.preprocessing.roi) if name}
    if unlisted := used - manifest.files.keys():
        raise ManifestError(f"{source} gives no SHA-256 of {', '.join(sorted(unlisted))}")
    for name in manifest.files:
        if not is_inside(name):
            raise ManifestError(f"{source} names {name!r}, which is no file within the version")
    sums = read_sums(path / SUMS)
    for name in (MANIFEST, *manifest.files):
        if name not in sums:
            raise SumsError(f"{path / SUMS} gives no SHA-256 of {name}")
        found = _sha256(content) if name == MANIFEST else sha256_of(path / name)
        for record, expected in ((SUMS, sums[name]), (MANIFEST, manifest.files.get(name, found))):
            _check_digest(path / name, found, expected, record)
    return Artifact(path, manifest)


def _check_digest(path: Path, found: str, expected: str, record: str) -> None:
    """Raises DigestError."""
    if found != expected:
        raise DigestError(f"{path} is not the file that was exported: its SHA-256 differs from that in {record}")


def read_sums(path: Path) -> dict[str, str]:
    """SHA-256 by name. Raises MissingFileError, UnreadableFileError or SumsError."""
    return parse_sums(read_file(path), str(path))


def parse_sums(content: bytes, path: str) -> dict[str, str]:
    """SHA-256 by name. Raises SumsError, which names the `path`."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise SumsError(f"{path} can't be read: not UTF-8") from None
    sums = {}
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        if not (parts := re.fullmatch("([0-9a-f]{64}) [ *](.+)", line)):
            raise SumsError(f"{path}, line {number} is no SHA-256 and name, as sha256sum writes them")
        sums[parts[2]] = parts[1]
    return sums


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def is_inside(name: str) -> bool:
    """Whether a file's name leads to no other folder than the version's."""
    parts = PurePosixPath(name).parts
    return bool(parts) and parts[0] != "/" and ".." not in parts and "\0" not in name
