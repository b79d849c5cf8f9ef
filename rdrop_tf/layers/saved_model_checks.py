"""The rules for a SavedModel that is to be fine-tuned with R-Drop."""

import keras

from rdrop_tf._keras import in_safe_mode
from rdrop_tf.layers.saved_model_functions import Functions


def check_backend() -> None:
    """Raises unless Keras runs on TensorFlow."""
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ValueError(
            "SavedModelLayer needs the TensorFlow backend, because a SavedModel is a program of "
            f"TensorFlow. Received: the backend {backend!r}; set KERAS_BACKEND=tensorflow before "
            "Keras is imported"
        )


def check_trusted() -> None:
    """Raises if a file is loaded in Keras' safe mode, which runs nothing that lies in files."""
    if in_safe_mode():
        raise ValueError(
            "A SavedModel is a program, which may read and write files, and Keras' safe mode runs "
            "no program that a file brings along. Received: a model with a SavedModelLayer, in "
            "safe mode; if you trust where it comes from, load it with safe_mode=False or call "
            "keras.config.enable_unsafe_deserialization() first"
        )


def check_training(functions: Functions, where: str) -> None:
    """Raises if a SavedModel computes the same in training and in inference."""
    if functions.training is None:
        raise ValueError(
            "A SavedModel must tell training from inference, or both passes agree and KL is 0. "
            f"Received: '{where}', whose function takes no `training` argument or was not "
            "exported for training=True; export it so, or pass deterministic=True if the noise "
            "comes from other layers, or trainable=False"
        )


def check_trainable(variables: list[keras.Variable], where: str) -> None:
    """Raises if a SavedModel has nothing to train."""
    if not any(variable.trainable for variable in variables):
        raise ValueError(
            "A SavedModel must have trainable variables to be fine-tuned. "
            f"Received: '{where}' with {len(variables)} variables, none of them trainable; export "
            "it without freezing them, or pass trainable=False"
        )
