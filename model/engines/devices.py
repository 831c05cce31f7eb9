"""Which devices this host has, without importing PyTorch where there can be none."""

import ctypes
from importlib.util import find_spec
from typing import Literal

from model.errors import DeviceUnavailableError

Device = Literal["cpu", "cuda"]
DeviceChoice = Literal["auto", "cpu", "cuda"]


def choose_device(device: DeviceChoice) -> Device:
    """CUDA for "auto" where there is any. Raises DeviceUnavailableError where "cuda" is asked for and isn't there."""
    if device == "cpu" or (device == "auto" and not _driver_has_devices()):
        return "cpu"
    available = _torch_has_devices()
    if device == "cuda" and not available:
        raise DeviceUnavailableError("device cuda was asked for, but PyTorch sees no CUDA device; use cpu or auto")
    return "cuda" if available else "cpu"


def _torch_has_devices() -> bool:
    if find_spec("torch") is None:
        return False
    from model.engines.pytorch import cuda_available  # torch is imported only where it is used

    return cuda_available()


def _driver_has_devices() -> bool:
    """Whether NVIDIA's driver counts a device (CUDA Driver API, cuInit and cuDeviceGetCount)."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int()
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
