"""Training calls nobody, where it has its weights: else `fit` asks for them, and says so."""

import sys
from pathlib import Path

import pytest
from safetensors.numpy import save_file

from model.weights import trunk_digest
from tests.support.network_namespace import called, why_not
from tests.training.conftest import OWN_PATCHES, write_folder
from training.features.imagenet import Trunk

PATIENCE = 300
FIT = """
import os, sys, time
from training.__main__ import main

os.chdir(sys.argv[1])
given = ["--data", "parts", "--preset", "own.toml", "--weights", "trunk.safetensors"]
assert main(["fit", *given, "--model", "part", "--store", "store"]) == 0
time.sleep(15)  # ONNX Runtime calls after 10
"""


@pytest.mark.skipif(why_not() != "", reason=why_not())
def test_fit_calls_nobody(tmp_path: Path, trunk: Trunk) -> None:
    write_folder(tmp_path / "parts")
    (tmp_path / "own.toml").write_text(OWN_PATCHES)
    save_file(trunk, tmp_path / "trunk.safetensors", metadata={"trunk_sha256": trunk_digest(trunk)})
    assert called([sys.executable, "-c", FIT, str(tmp_path)], tmp_path, PATIENCE) == []
    assert (tmp_path / "store" / "part" / "1" / "manifest.json").exists()
