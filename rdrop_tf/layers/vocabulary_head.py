"""The last layer of a language model: from hidden states to the logits of a vocabulary."""

import warnings
from typing import Any

import keras
from keras import ops

from rdrop_tf._keras import in_object_sharing_scope, replace_part
from rdrop_tf._typing import Tensor
from rdrop_tf.layers.kept_hidden import KeptHidden, keep_hidden
from rdrop_tf.layers.namesake import namesake_before
from rdrop_tf.losses.checks import is_whole_number
from rdrop_tf.losses.projection import Projection


@keras.saving.register_keras_serializable(package="rdrop_tf")
class VocabularyHead(keras.layers.Layer):
    """Projects hidden states to logits; trained by `RDropModel` without making them all.

    Formula: logits = hidden · kernel + bias.

    An ordinary projection wherever it is called. Where its logits are an output of a model that
    `RDropModel` trains with `SparseCategoricalCrossentropy(from_logits=True)`, the training step
    computes projection, both terms of the loss and their gradient together, for some rows at a
    time: see `rdrop_tf.losses.linear_rdrop`. The logits of all rows are then made only if something
    else needs them: a compiled metric (those of the first pass), the model itself, or, in a model
    that is no functional one, a step that is not compiled (`run_eagerly=True`, Torch).

    Args:
        vocabulary_size: Number of classes; with `tied_to` it is the embedding's and left out.
        tied_to: A `keras.layers.Embedding` (or subclass, such as KerasHub's) whose matrix is
            used as the kernel, transposed; both uses train it. None makes a kernel of its own.
        use_bias: Whether to add a bias.
        kernel_initializer: Of a kernel of its own.
        bias_initializer: Of the bias.
        kernel_regularizer: Of a kernel of its own.
        bias_regularizer: Of the bias.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: Hidden states, shape (..., features).

    Returns:
        Logits, shape (..., vocabulary_size). A mask is passed on.

    Raises:
        ValueError: If neither or both of `vocabulary_size` and `tied_to` are given, or the
            embedding has another width than the hidden states.

    Example:
    >>> import keras
    >>> from rdrop_tf.layers import VocabularyHead
    >>> embedding = keras.layers.Embedding(1000, 16)
    >>> tokens = keras.Input((None,), dtype="int32")
    >>> hidden = keras.layers.Dropout(0.1)(embedding(tokens))
    >>> model = keras.Model(tokens, VocabularyHead(tied_to=embedding)(hidden))
    >>> model.output.shape
    (None, None, 1000)
    """

    def __init__(
        self,
        vocabulary_size: int | None = None,
        *,
        tied_to: Any = None,
        use_bias: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("activity_regularizer") is not None:
            raise ValueError(
                "VocabularyHead takes no `activity_regularizer`: it would need the logits of all "
                f"rows. Received: activity_regularizer={kwargs['activity_regularizer']!r}"
            )
        super().__init__(**kwargs)
        _check_arguments(vocabulary_size, tied_to)
        self.vocabulary_size = int(vocabulary_size or tied_to.input_dim)
        self.tied_to, self.use_bias = tied_to, use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.supports_masking = True
        self._looks_for_tie = self._tie_is_shared = False
        self.kernel: Any = None
        self.bias: Any = None

    def build(self, input_shape: Any) -> None:
        """Makes the kernel, unless it is an embedding's, and the bias."""
        features = input_shape[-1]
        if self.tied_to is None:
            self.kernel = self.add_weight(
                name="kernel",
                shape=(features, self.vocabulary_size),
                initializer=self.kernel_initializer,
                regularizer=self.kernel_regularizer,
            )
        elif self.tied_to.output_dim != features:
            raise ValueError(
                "A tied VocabularyHead needs hidden states of the embedding's width. Received: "
                f"hidden states of {features} features and the embedding "
                f"'{self.tied_to.name}' of {self.tied_to.output_dim}"
            )
        elif not self.tied_to.built:
            self.tied_to.build()
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.vocabulary_size,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
            )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the layer; made from a config, it first looks for the embedding it is tied to."""
        if self._looks_for_tie:
            self._tie_to_namesake(args[0] if args else kwargs.get("inputs"))
        return super().__call__(*args, **kwargs)

    def projection(self) -> Projection:
        """Returns the map that this head applies, in its compute dtype."""
        tied = self.tied_to is not None
        kernel = _matrix_of(self.tied_to) if tied else self.kernel
        bias = None if self.bias is None else ops.cast(self.bias, self.compute_dtype)
        trained = self.tied_to.trainable_variables if tied else self.kernel.trainable
        return Projection(
            ops.cast(kernel, self.compute_dtype),
            bias,
            transposed=tied,
            kernel_is_trained=bool(trained),
        )

    def call(self, inputs: Tensor) -> Tensor:
        """Returns the logits, with which the hidden states travel."""
        if self._looks_for_tie:  # called by a wrapper, which shows no symbolic inputs
            self._tie_to_namesake(None)
        logits = self.projection().logits(inputs)
        keep_hidden(logits, KeptHidden(inputs, self))
        return logits

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """Returns the shape of the logits."""
        return (*input_shape[:-1], self.vocabulary_size)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments; a tied embedding is saved once with the model it is part of."""
        tied = self.tied_to is not None
        own = {
            "vocabulary_size": None if tied else self.vocabulary_size,
            "tied_to": keras.saving.serialize_keras_object(self.tied_to) if tied else None,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
        }
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "VocabularyHead":
        """Makes the layer, which its first call ties to the embedding of that name before it."""
        config = dict(config)
        tied = config.get("tied_to") is not None
        if tied:
            config["tied_to"] = keras.saving.deserialize_keras_object(config["tied_to"])
        head = cls(**config)
        head._looks_for_tie = tied
        head._tie_is_shared = in_object_sharing_scope()
        return head

    def _tie_to_namesake(self, hidden: Any) -> None:
        """Ties to the embedding from which symbolic hidden states come.

        The config holds an embedding of its own: loading a file makes it that of the model, but
        `clone_model`, `model_from_json` and the like make a copy.
        """
        self._looks_for_tie = False
        found = namesake_before(hidden, self.tied_to)
        if found is None and not self._tie_is_shared:
            warnings.warn(
                f"The VocabularyHead '{self.name}' was tied to the embedding "
                f"'{self.tied_to.name}', and it is not known which embedding that is in the model "
                "that is being made: none of that name, or several, come before the head. It has a "
                "matrix of its own now.",
                stacklevel=3,
            )
        elif found is not None and found is not self.tied_to:
            replace_part(self, self.tied_to, found)
            self.tied_to = found


def _matrix_of(embedding: Any) -> Tensor:
    """Returns an embedding's matrix; of a quantized one as the embedding itself reads it."""
    if embedding.quantization_mode is None:
        return embedding.embeddings
    return embedding.quantized_call(ops.arange(embedding.input_dim))


def _check_arguments(vocabulary_size: Any, tied_to: Any) -> None:
    if tied_to is not None and not isinstance(tied_to, keras.layers.Embedding):
        raise ValueError(
            "`tied_to` must be a keras.layers.Embedding, whose matrix becomes the kernel. "
            f"Received: tied_to={tied_to!r}"
        )
    if (vocabulary_size is None) == (tied_to is None):
        raise ValueError(
            "VocabularyHead needs either `vocabulary_size` or `tied_to`. "
            f"Received: vocabulary_size={vocabulary_size!r} and tied_to={tied_to!r}"
        )
    if tied_to is None and not is_whole_number(vocabulary_size, at_least=1):
        raise ValueError(
            "`vocabulary_size` must be a whole number >= 1. "
            f"Received: vocabulary_size={vocabulary_size!r}"
        )
