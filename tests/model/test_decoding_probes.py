"""A version names what decoded its training images; a service that decodes them differently says so, and serves."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from model import manifest as manifests
from model.artifact import MANIFEST
from model.decoding_probes import decoding_here, difference
from model.detector import load_detector
from model.manifest import Decoding
from tests.support.artifacts import publish, resum

OTHER = Decoding({"pillow": "9.0", "simplejpeg": "1.0"}, "0" * 64)


def test_what_decodes_here_is_named() -> None:
    here = decoding_here()
    assert here.libraries.keys() == {"pillow", "simplejpeg", "libtiff", "libwebp"}
    assert len(here.pixels_sha256) == 64


def test_only_other_pixels_are_a_difference() -> None:
    here = decoding_here()
    assert difference(here) is None
    assert difference(replace(OTHER, pixels_sha256=here.pixels_sha256)) is None
    assert "pillow 9.0, simplejpeg 1.0 in training" in str(difference(OTHER))


def test_a_version_decoded_otherwise_is_told_of_and_serves(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    version = publish_with(tmp_path, decoding_here())
    assert load_detector(version, "cpu").decoding_difference is None
    assert not caplog.records
    version = publish_with(tmp_path, OTHER)
    with caplog.at_level(logging.WARNING):
        found = load_detector(version, "cpu").decoding_difference
    assert found is not None
    assert [record.getMessage() for record in caplog.records] == [f"{version}: {found}"]


def publish_with(root: Path, decoding: Decoding) -> Path:
    """A version whose manifest says that."""
    path = publish(root)
    manifest = manifests.decode((path / MANIFEST).read_bytes())
    told = replace(manifest, preprocessing=replace(manifest.preprocessing, decoding=decoding))
    (path / MANIFEST).write_bytes(manifests.encode(told))
    resum(path)
    return path
