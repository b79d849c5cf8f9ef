"""The Transformer of "Attention Is All You Need", from token ids to the logits of the next ones."""

import inspect
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import keras
from keras import ops

from rdrop_tf._typing import Nested, Tensor
from rdrop_tf.data import EpochData
from rdrop_tf.layers.positions import check_length
from rdrop_tf.text.transformer_arguments import TransformerArguments, layers_of_each
from rdrop_tf.text.transformer_sides import Decoder, Encoder
from rdrop_tf.text.transformer_sizes import arguments_of


def check_changes(size: str, changes: Mapping[str, Any]) -> None:
    """Raises unless a size, with the arguments that differ from it, makes a `Transformer`.

    Args:
        size: A size that has a name.
        changes: Arguments in the place of the size's, but for vocabularies, dtype and name.

    Raises:
        ValueError: If there is no such size or argument, or it has no such value.

    Example:
    >>> check_changes("tiny", {"dropout": 0.3})
    """
    parameters = inspect.signature(Transformer).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    known = [name for name in defaults if name not in _NO_CHANGES]
    for name, value in changes.items():
        if name not in known:
            raise ValueError(
                f"what a Transformer differs in must be one of {', '.join(known)}; got "
                f"{name}={value!r}"
            )
    given = {**defaults, **arguments_of(size), **changes}
    names = ("layers", "encoder_layers", "decoder_layers")
    given["encoder_layers"], given["decoder_layers"] = layers_of_each(*(given[n] for n in names))
    given["share_embeddings"] = given["share_embeddings"] or "all"
    given |= {"source_vocabulary": 1, "target_vocabulary": 1}  # not known yet
    TransformerArguments(
        **{field.name: given[field.name] for field in fields(TransformerArguments)}
    )


_NO_CHANGES = ("pad_id", "trainable", "dtype", "name")


@keras.saving.register_keras_serializable(package="rdrop_tf")
class Transformer(keras.Model):
    """A Transformer with encoder and decoder, for translation and the like.

    A functional model of Keras layers that ends in a `VocabularyHead`: `RDropModel` trains it
    with `SparseCategoricalCrossentropy(from_logits=True)` without making the logits of a batch.

    As in fairseq, embeddings are scaled by √width and start as N(0, 1 / width), projections start
    Xavier uniform with biases of 0, and layer normalisation has ε = 1e-5; with norm="pre" encoder
    and decoder end in one more. `dropout` acts on the sum of embedding and position and on what
    each sublayer adds, `attention_dropout` on the weights of attention, `activation_dropout`
    behind the activation of the feed-forward sublayer. Unlike there, positions count from 0.

    Source: Vaswani et al. 2017, arXiv 1706.03762; fairseq's `transformer`.

    Args:
        source_vocabulary: Ids of source tokens, the padding's included.
        target_vocabulary: Ids of target tokens; None for those of the source.
        layers: Layers of the encoder and of the decoder.
        encoder_layers: Those of the encoder, where they differ.
        decoder_layers: Those of the decoder.
        width: Features of a position, a multiple of `heads`.
        hidden: Features between the two projections of the feed-forward sublayer.
        heads: Attention heads.
        dropout: The rate on embeddings and sublayers.
        attention_dropout: The rate on the weights of attention.
        activation_dropout: The rate inside the feed-forward sublayer.
        activation: Of the feed-forward sublayer, a name that Keras knows.
        positions: "sinusoidal", for sequences of any length, or "learned".
        max_length: The longest source or target that learned positions reach.
        norm: "post", normalisation after each sum, as published; "pre", before each sublayer.
        share_embeddings: "all", one matrix for source, target and head; "decoder", one for
            target and head; "none". None is "all" where the target's vocabulary is the source's,
            so `target_vocabulary` is left out, and "decoder" where it is given: two vocabularies
            may be of equal size.
        pad_id: The id of the padding of both sides. Padding comes after all tokens of a row;
            the id that a target starts with is another.
        trainable: Whether the weights are trained.
        dtype: A dtype policy or its name; None for Keras' global one. Under half precision the
            head computes in float32.
        name: The model's name.

    Call arguments:
        inputs: {"source": ids (batch, s), "target": ids (batch, t)}. The target is shifted
            right: it starts with the start id, and logit j is that of token j + 1.
        training: Whether dropout is active.

    Returns:
        Logits, shape (batch, t, target_vocabulary), float32 (float64 for float64). Their Keras
        mask is False where the target is padding. A row that is padding alone gets finite ones.

    Raises:
        ValueError: If the arguments make no model, or a sequence is longer than learned
            positions reach.

    Example:
    >>> import numpy as np
    >>> from rdrop_tf.text import Transformer
    >>> model = Transformer(100, layers=1, width=16, hidden=32, heads=2)
    >>> source, target = np.array([[5, 6, 7, 3]]), np.array([[2, 8, 9]])
    >>> tuple(model({"source": source, "target": target}).shape)
    (1, 3, 100)
    """

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int | None = None,
        *,
        layers: int | None = None,
        encoder_layers: int | None = None,
        decoder_layers: int | None = None,
        width: int,
        hidden: int,
        heads: int,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        activation_dropout: float = 0.0,
        activation: str = "relu",
        positions: str = "sinusoidal",
        max_length: int = 1024,
        norm: str = "post",
        share_embeddings: str | None = None,
        pad_id: int = 0,
        trainable: bool = True,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        encoder_layers, decoder_layers = layers_of_each(layers, encoder_layers, decoder_layers)
        if share_embeddings is None:
            share_embeddings = "all" if target_vocabulary is None else "decoder"
        arguments = TransformerArguments(
            source_vocabulary,
            source_vocabulary if target_vocabulary is None else target_vocabulary,
            encoder_layers,
            decoder_layers,
            width,
            hidden,
            heads,
            dropout,
            attention_dropout,
            activation_dropout,
            activation,
            positions,
            max_length,
            norm,
            share_embeddings,
            pad_id,
        )
        policy = keras.config.dtype_policy() if dtype is None else keras.dtype_policies.get(dtype)
        encoder = Encoder(arguments, policy)
        decoder = Decoder(arguments, policy, encoder.embedding)
        inputs = {
            side: keras.Input((None,), dtype="int32", name=side) for side in ("source", "target")
        }
        source_mask = ops.not_equal(inputs["source"], pad_id)
        states = encoder.states(inputs["source"], source_mask)
        logits = decoder.logits(inputs["target"], states, source_mask)
        super().__init__(inputs=inputs, outputs=logits, name=name)
        self.dtype_policy, self.trainable = policy, trainable
        # Their layers are this model's by its graph.
        self._encoder, self._decoder, self._arguments = encoder, decoder, arguments

    @classmethod
    def of_size(
        cls,
        size: str,
        source_vocabulary: int,
        target_vocabulary: int | None = None,
        **overrides: Any,
    ) -> "Transformer":
        """Makes a Transformer of a size that has a name.

        | size | layers | width | hidden | heads | dropout |
        |---|---|---|---|---|---|
        | tiny | 4 + 4 | 128 | 256 | 4 | .1 |
        | iwslt | 6 + 6 | 512 | 1024 | 4 | .3 |
        | base | 6 + 6 | 512 | 2048 | 8 | .1 |
        | big | 6 + 6 | 1024 | 4096 | 16 | .3 |

        R-Drop's WMT14 models are "big" with dropout, attention_dropout and activation_dropout
        of .1.

        Args:
            size: One of the names.
            source_vocabulary: Ids of source tokens.
            target_vocabulary: Ids of target tokens; None for those of the source.
            **overrides: Arguments of `Transformer` in the place of the size's.

        Raises:
            ValueError: If there is no such size, or as for `Transformer`.

        Example:
        >>> from rdrop_tf.text import Transformer
        >>> Transformer.of_size("tiny", 8000, dropout=0.3).count_params()
        2349056
        """
        return cls(source_vocabulary, target_vocabulary, **(arguments_of(size) | overrides))

    @property
    def vocabularies(self) -> tuple[int, int]:
        """How many ids there are for source and target tokens."""
        return self._arguments.source_vocabulary, self._arguments.target_vocabulary

    @property
    def longest(self) -> int | None:
        """The longest source or target it takes, in tokens; None for any."""
        return self._arguments.max_length if self._arguments.positions == "learned" else None

    def fit(self, x: Any = None, y: Any = None, **options: Any) -> Any:
        """Trains as `keras.Model.fit`; refuses batches of other vocabularies or too long ones."""
        if isinstance(x, EpochData):
            x.check_model(self)
        return super().fit(x, y, **options)

    def start(self, source: Tensor, length: int, beams: int = 1) -> tuple[Nested, Nested]:
        """Encodes sentences and returns what `step` needs for them.

        Args:
            source: Ids, shape (sentences, s), padding at their ends.
            length: How many positions will be decoded before the cache is made to `grow`, the
                start id's included.
            beams: Outputs of each sentence that are decoded side by side.

        Returns:
            What stays the same (projected states of the encoder, and the mask of the source) and
            the cache of the first step. Nested tensors, sentences first.

        Raises:
            ValueError: If `length` is below 1, or learned positions do not reach so far.
        """
        self._check_length(length)
        source = ops.cast(ops.convert_to_tensor(source), "int32")
        mask = ops.not_equal(source, self._arguments.pad_id)
        states = self._encoder.states(source, mask, training=False)
        projected, cache = self._decoder.start(states, ops.shape(source)[0], length, beams)
        return {"source_mask": mask, "projected": projected}, cache

    def step(
        self, tokens: Tensor, position: Tensor, constant: Nested, cache: Nested
    ) -> tuple[Tensor, Nested]:
        """Computes the logits after one more token; the same as those of a whole call.

        Shapes are the same at every position, so that a compiled loop may run it.

        Args:
            tokens: The ids at this position, shape (sentences · beams,), beams side by side.
            position: Its number, an integer scalar: 0 for the start id, then 1, 2, 3 ...
            constant: The first of what `start` returned.
            cache: The second, or what the step before returned.

        Returns:
            Logits of the next token, shape (sentences · beams, target_vocabulary), and the cache
            of the next step.
        """
        tokens = ops.cast(ops.convert_to_tensor(tokens), "int32")
        tokens = ops.reshape(tokens, (-1, cache.ancestors.shape[1]))
        mask, projected = constant["source_mask"], constant["projected"]
        logits, cache = self._decoder.step(tokens, position, projected, mask, cache)
        return ops.reshape(logits, (-1, logits.shape[-1])), cache

    def reorder(self, constant: Nested, cache: Nested, parents: Tensor) -> Nested:
        """Returns the cache where each beam goes on from another one of its sentence.

        Nothing but a table of ancestors is changed, the keys and values stay where they are.

        Args:
            constant: The first of what `start` returned.
            cache: What the last step returned.
            parents: The beam that each goes on from, integers (sentences, beams).
        """
        return cache.reorder(parents)

    def grow(self, cache: Nested, length: int) -> Nested:
        """Returns the cache with room for `length` positions.

        Raises:
            ValueError: If learned positions do not reach so far.
        """
        self._check_length(length)
        return cache.grow(length)

    def _check_length(self, length: int) -> None:
        if length < 1:
            raise ValueError(f"`length` must be a whole number >= 1. Received: length={length!r}")
        if self._arguments.positions == "learned":
            check_length(length, self._arguments.max_length)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        own = {"trainable": self.trainable, "dtype": self.dtype_policy.name, "name": self.name}
        return {**asdict(self._arguments), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Transformer":
        """Makes the model of what `get_config` returned."""
        return cls(**config)
