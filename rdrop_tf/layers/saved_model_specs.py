"""What a layer remembers of its SavedModel, so that it can be rebuilt before the files are read.

Keras rebuilds a model from its config first and reads files second; until then the layer must
know its variables and the shapes of its outputs.
"""

from typing import Any

import keras
from keras import tree

from rdrop_tf._typing import Nested

# A pair of inputs and outputs, as KerasTensors.
Call = tuple[Nested, Nested]


def variable_specs(
    variables: list[keras.Variable], trainable: list[keras.Variable]
) -> list[dict[str, Any]]:
    """Describes variables for a config; `trainable` are those to train unless frozen."""
    return [
        {
            "name": variable.name,
            "shape": tuple(variable.shape),
            "dtype": str(variable.dtype),
            "trainable": any(variable is one for one in trainable),
        }
        for variable in variables
    ]


def variable_of(spec: dict[str, Any]) -> keras.Variable:
    """Makes a variable of zeros from its description."""
    return keras.Variable("zeros", autocast=False, **spec)


class Calls:
    """The shapes of outputs by the shapes of inputs, of any batch size.

    Args:
        known: Pairs of inputs and outputs, as KerasTensors.
    """

    def __init__(self, known: list[Call]) -> None:
        self.known = list(known)

    def note(self, inputs: Nested, outputs: Nested) -> None:
        """Remembers a call."""
        if self._find(inputs) is None:
            self.known.append((_specs(inputs), _specs(outputs)))

    def placeholders(self, inputs: Nested) -> Nested:
        """Returns symbolic outputs of a call that is remembered.

        Raises:
            ValueError: If inputs of such shapes are unknown.
        """
        import tensorflow as tf

        outputs = self._find(inputs)
        if outputs is None:
            raise ValueError(
                "Before its files are read, a SavedModelLayer can be called only as it was before "
                f"it was saved. Received: inputs {_specs(inputs)}; known are "
                f"{[known for known, _ in self.known]}"
            )
        return tree.map_structure(lambda x: tf.compat.v1.placeholder(x.dtype, x.shape), outputs)

    def _find(self, inputs: Nested) -> Nested | None:
        wanted = _key(_specs(inputs))
        return next((outputs for known, outputs in self.known if _key(known) == wanted), None)


def _specs(x: Nested) -> Nested:
    def spec(leaf: Any) -> keras.KerasTensor:
        shape = (None, *leaf.shape[1:]) if len(leaf.shape) else ()
        return keras.KerasTensor(shape, keras.backend.standardize_dtype(leaf.dtype))

    return tree.map_structure(spec, x)


def _key(specs: Nested) -> str:
    return repr(tree.map_structure(lambda x: f"{x.dtype}{tuple(x.shape)}", specs))
