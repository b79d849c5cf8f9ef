"""The machine and the versions behind a figure."""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import keras

from rdrop_tf._version import __version__

PACKAGES = ("keras", "keras-hub", "tensorflow", "jax", "torch", "numpy", "scipy", "scikit-learn")


def describe_environment() -> dict[str, Any]:
    """Describes the machine and the versions in use.

    Returns:
        A dict that json can hold.

    Example:
    >>> sorted(describe_environment())
    ['backend', 'devices', 'logical_cores', 'processor', 'python', 'system', 'versions']
    """
    return {
        "python": platform.python_version(),
        "versions": {
            "rdrop_tf": __version__,
            **{package: version for package in PACKAGES if (version := _version(package))},
        },
        "backend": keras.backend.backend(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "logical_cores": os.cpu_count(),
        "devices": _devices(),
    }


def _devices() -> list[str]:
    """Returns the devices; an accelerator by its maker's name where the backend knows it."""
    if keras.backend.backend() != "jax":
        return list(keras.distribution.list_devices())
    import jax

    return [f"{device.platform}:{device.id} {device.device_kind}" for device in jax.devices()]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    """Returns the processor's name; `platform` knows it on Windows and macOS only."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
