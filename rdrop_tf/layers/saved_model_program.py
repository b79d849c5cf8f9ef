"""A SavedModel in memory: its functions, its variables, and what its variables hold."""

from pathlib import Path
from typing import Any

import keras

from rdrop_tf.layers.saved_model_functions import find_functions
from rdrop_tf.layers.saved_model_seeds import FreedFolder
from rdrop_tf.layers.saved_model_state import State, changes


class Program:
    """Loads a SavedModel and gives Keras a view of its variables.

    Args:
        folder: Where the SavedModel lies.
        endpoint: Name of its function.
        training_endpoint: Name of its function for training, None for the same.
        name: Name of the layer, which its variables' paths begin with.
        views: Variables of Keras that stood in for the SavedModel's until now: these take over
            their values, and they become views of these. None makes new ones.

    Attributes:
        loaded: What TensorFlow loaded. Must be kept as long as its functions are called.
        functions: What to call.
        views: The variables that the functions use, as Keras sees them.
        state: Those of them that the functions change.
    """

    def __init__(
        self,
        folder: Path,
        endpoint: str,
        training_endpoint: str | None,
        name: str,
        views: list[keras.Variable] | None = None,
    ) -> None:
        import tensorflow as tf

        self._files = FreedFolder(folder)
        self.loaded = tf.saved_model.load(str(self._files.path))
        self.functions = find_functions(self.loaded, endpoint, training_endpoint, str(folder))
        own = self.functions.variables
        if views is None:
            with keras.name_scope(name):
                self.views = self._views(own)
        else:
            self.views = _rebound(views, own)
        changed = [
            (view, variable)
            for view, variable in zip(self.views, own, strict=True)
            if not variable.trainable
            and any(changes(function, variable) for function in self.functions.concrete)
        ]
        self.state = State(changed)

    def _views(self, own: list[Any]) -> list[keras.Variable]:
        listed = getattr(self.loaded, "trainable_variables", None)
        names = _names(own)
        return [
            keras.Variable(
                variable,
                dtype=variable.dtype.name,
                # A list of trainable variables may leave out some that TensorFlow would train.
                trainable=variable.trainable
                and (listed is None or any(variable is one for one in listed)),
                autocast=False,
                name=name,
            )
            for variable, name in zip(own, names, strict=True)
        ]


def _rebound(views: list[keras.Variable], own: list[Any]) -> list[keras.Variable]:
    """Hands the values of variables to those of a SavedModel, and makes them views of these."""
    for view, variable in zip(views, own, strict=True):
        variable.assign(view.value)
        view._value = variable
    return views


def _names(variables: list[Any]) -> list[str]:
    """Returns names that Keras takes, each once."""
    names: list[str] = []
    for variable in variables:
        name = variable.name.split(":")[0].replace("/", "_")
        taken = [name, *(f"{name}_{i}" for i in range(1, len(variables)))]
        names.append(next(n for n in taken if n not in names))
    return names
