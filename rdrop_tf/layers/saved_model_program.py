"""A SavedModel in memory: its functions, its variables, and what its variables hold."""

from pathlib import Path
from typing import Any

import keras
from keras import ops

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
        stand_ins: Variables that stood in for the SavedModel's until now, by their positions;
            they become its variables, with the values they have. None makes new ones.

    Attributes:
        loaded: What TensorFlow loaded. Must be kept as long as its functions are called.
        functions: What to call.
        views: The variables that the functions use, as Keras sees them.
        positions: Where each of them comes in the order in which they are loaded.
        state: Those of them that the functions change.
    """

    def __init__(
        self,
        folder: Path,
        endpoint: str,
        training_endpoint: str | None,
        name: str,
        stand_ins: dict[int, keras.Variable] | None = None,
    ) -> None:
        import tensorflow as tf

        self._files = FreedFolder(folder)
        stand_ins = stand_ins or {}
        values = {i: ops.convert_to_numpy(view) for i, view in stand_ins.items()}
        variables = _InOrder(stand_ins)
        with tf.variable_creator_scope(variables.create):
            self.loaded = _load(self._files.path, folder)
        for i, view in stand_ins.items():
            view.assign(values[i])
        self.functions = find_functions(self.loaded, endpoint, training_endpoint, str(folder))
        own = self.functions.variables
        self.positions = [variables.position(variable) for variable in own]
        if stand_ins:
            self.views = [stand_ins[i] for i in self.positions]
        else:
            with keras.name_scope(name):
                self.views = self._views(own)
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


def _load(path: Path, folder: Path) -> Any:
    import tensorflow as tf

    try:
        return tf.saved_model.load(str(path))
    # A file that is missing, cut short or another's comes out anywhere in TensorFlow.
    except Exception as error:
        raise OSError(
            "A SavedModel must be whole: saved_model.pb, and what it names in variables and assets"
            f". Received: '{folder}', of which TensorFlow says: {type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}; copy or download the SavedModel again"
        ) from error


class _InOrder:
    """The variables of a SavedModel in the order in which TensorFlow loads them.

    An optimizer knows a variable by its object in TensorFlow, so that stand-ins must become the
    SavedModel's variables: no other way leads from one object to another.
    """

    def __init__(self, stand_ins: dict[int, keras.Variable]) -> None:
        self._stand_ins, self._created = stand_ins, list[Any]()

    def create(self, next_creator: Any, **options: Any) -> Any:
        stand_in = self._stand_ins.get(len(self._created))
        self._created.append(next_creator(**options) if stand_in is None else stand_in._value)
        return self._created[-1]

    def position(self, variable: Any) -> int:
        return next(i for i, one in enumerate(self._created) if one is variable)


def _names(variables: list[Any]) -> list[str]:
    """Returns names that Keras takes, each once."""
    names: list[str] = []
    for variable in variables:
        name = variable.name.split(":")[0].replace("/", "_")
        taken = [name, *(f"{name}_{i}" for i in range(1, len(variables)))]
        names.append(next(n for n in taken if n not in names))
    return names
