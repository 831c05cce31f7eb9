"""ONNX Runtime, which calls nobody: no other module imports it (tests/test_imports.py).

From 1.29 on its wheels for Linux send what they are used for to their maker, with an id that they keep in the home
directory. Only the variable turns that off, and only before the library is loaded.
"""

import os
from importlib import import_module
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as states

__all__ = ["onnxruntime", "states", "submodule"]


def submodule(name: str) -> Any:
    """A module of it that isn't imported with it, as it needs what serving doesn't have: `quantization`."""
    return import_module(f"onnxruntime.{name}")
