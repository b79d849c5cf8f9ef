"""The machine and the versions behind a figure."""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import keras

from rdrop_tf._version import __version__

PACKAGES = ("keras", "tensorflow", "numpy", "scipy", "scikit-learn")


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
            **{package: metadata.version(package) for package in PACKAGES},
        },
        "backend": keras.backend.backend(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "logical_cores": os.cpu_count(),
        "devices": keras.distribution.list_devices(),
    }


def _processor() -> str:
    """Returns the processor's name; `platform` knows it on Windows and macOS only."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
