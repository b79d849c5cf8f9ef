"""KerasHub's presets: whether one is what was meant, and what is said where it is none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rdrop_tf._digests import check_sha256, file_sha256

# Of KerasHub's layout, and of the Hugging Face one.
WEIGHTS = ("model.weights.h5", "model.safetensors")
KAGGLE, HUGGING_FACE = "kaggle://", "hf://"


def load_preset(
    preset: str,
    load: Callable[[], Any],
    *,
    kind: str,
    sha256: str | None = None,
    instead: str = "",
) -> Any:
    """Loads from a preset, after a look at its weights where their SHA-256 is given.

    Args:
        preset: A preset's name or handle, or a folder.
        load: What loads it through KerasHub.
        kind: Whose preset it must be, "a text encoder".
        sha256: What the file of its weights must have; None for any.
        instead: What may be done in the place of downloading it.

    Returns:
        What `load` returned.

    Raises:
        ValueError: If it is no preset of the kind, or its weights are others.
    """

    def tried(step: Callable[[], Any]) -> Any:
        try:
            return step()
        # KerasHub, its downloaders and its converters raise nearly anything, in many lines.
        except Exception as error:
            where = "a folder" if Path(preset).is_dir() else "no folder here"
            reason = " ".join(str(error).split())[:160]
            raise ValueError(
                f"a preset must be {kind}'s: a folder, or a name that KerasHub has downloaded "
                f"before or can download now; got {preset!r}, which is {where}, and KerasHub says "
                f"{reason!r}: download it where there is network and give its folder{instead}"
            ) from error

    if sha256 is not None:
        # Before anything reads them.
        found = file_sha256(tried(lambda: weights_file(preset)))
        check_sha256(f"the weights of the preset {preset!r}", found, sha256)
    return tried(load)


def weights_file(preset: str) -> Path:
    """Returns the file of a preset's weights, downloaded where it is not here.

    Raises:
        FileNotFoundError: If there is none, or several that only together are the weights.
    """
    for name in WEIGHTS:
        file = _file(preset, name)
        if file is not None and file.is_file():
            return file
    raise FileNotFoundError(f"no file {' or '.join(WEIGHTS)}, whose SHA-256 could be looked at")


def _file(preset: str, name: str) -> Path | None:
    if Path(preset).is_dir():
        return Path(preset) / name
    handle = _handle(preset)
    if handle.startswith(KAGGLE) and name == WEIGHTS[0]:
        import kagglehub

        return Path(kagglehub.model_download(handle.removeprefix(KAGGLE), name))
    if handle.startswith(HUGGING_FACE):
        import huggingface_hub

        try:
            return Path(huggingface_hub.hf_hub_download(handle.removeprefix(HUGGING_FACE), name))
        except huggingface_hub.errors.EntryNotFoundError:
            return None
    return None


def _handle(preset: str) -> str:
    """Returns where KerasHub downloads a preset that it knows by its name."""
    import keras_hub

    known = keras_hub.models.Backbone.presets.get(preset, {})
    return str(known.get("kaggle_handle", preset))
