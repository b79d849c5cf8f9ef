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
        self.known.append((_specs(inputs), _specs(outputs)))

    def find(self, inputs: Nested) -> Nested | None:
        """Returns symbolic outputs for a call that is remembered, None for another.

        Where the dtypes of inputs are new their shapes count: Keras rebuilds a subclassed model
        from shapes alone, and calls it with float32 for want of better knowledge.
        """
        import tensorflow as tf

        for key in (_typed, _shaped):
            for known, outputs in self.known:
                if key(known) == key(_specs(inputs)):
                    return tree.map_structure(
                        lambda x: tf.compat.v1.placeholder(x.dtype, x.shape), outputs
                    )
        return None


def _specs(x: Nested) -> Nested:
    def spec(leaf: Any) -> keras.KerasTensor:
        shape = (None, *leaf.shape[1:]) if len(leaf.shape) else ()
        return keras.KerasTensor(shape, keras.backend.standardize_dtype(leaf.dtype))

    return tree.map_structure(spec, x)


def _typed(specs: Nested) -> str:
    return repr(tree.map_structure(lambda x: f"{x.dtype}{tuple(x.shape)}", specs))


def _shaped(specs: Nested) -> str:
    return repr(tree.map_structure(lambda x: str(tuple(x.shape)), specs))
