"""Encoder and decoder of a Transformer: their layers in order, for graphs and for decoding.

No layers themselves: each layer below is one of the model that is made of them.
"""

from typing import Any, NamedTuple

import keras
from keras import layers, ops

from rdrop_tf._typing import Tensor
from rdrop_tf.layers.attention import KeysAndValues
from rdrop_tf.layers.positions import LearnedPositions, SinusoidalPositions
from rdrop_tf.layers.vocabulary_head import VocabularyHead
from rdrop_tf.text.token_embedding import TokenEmbedding
from rdrop_tf.text.transformer_arguments import TransformerArguments
from rdrop_tf.text.transformer_blocks import (
    BlockOptions,
    DecoderBlock,
    EncoderBlock,
    normalisation,
)


class _Side:
    """What both sides have: embedding, positions, dropout, and the last normalisation.

    Attributes:
        embedding: Of the token ids.
    """

    def __init__(self, name: str, arguments: TransformerArguments, policy: Any) -> None:
        self._arguments, self._policy = arguments, policy
        self.embedding: TokenEmbedding
        if arguments.positions == "learned":
            self._positions: Any = LearnedPositions(
                arguments.max_length, dtype=policy, name=f"{name}_positions"
            )
        else:
            self._positions = SinusoidalPositions(dtype=policy, name=f"{name}_positions")
        self._dropout = layers.Dropout(arguments.dropout, dtype=policy, name=f"{name}_dropout")
        self._norm = (
            normalisation(dtype=policy, name=f"{name}_norm") if arguments.norm == "pre" else None
        )

    def _make_embedding(self, vocabulary_size: int, name: str) -> TokenEmbedding:
        width, pad_id = self._arguments.width, self._arguments.pad_id
        return TokenEmbedding(vocabulary_size, width, pad_id, dtype=self._policy, name=name)

    def _block_options(self) -> BlockOptions:
        arguments = self._arguments
        return {
            "hidden": arguments.hidden,
            "heads": arguments.heads,
            "dropout": arguments.dropout,
            "attention_dropout": arguments.attention_dropout,
            "activation_dropout": arguments.activation_dropout,
            "activation": arguments.activation,
            "norm": arguments.norm,
        }

    def _embed(self, tokens: Tensor, training: bool | None) -> Tensor:
        x = self._positions(self.embedding(tokens))
        return self._dropout(x, training=training)

    def _normalised(self, x: Tensor) -> Tensor:
        return x if self._norm is None else self._norm(x)


class Cache(NamedTuple):
    """What the decoder keeps from step to step, for some beams a sentence.

    Beams that change places change their ancestors alone; what was kept stays where it is.

    Attributes:
        layers: What the self-attention of each layer keeps.
        ancestors: Whose keys and values at each position are those of a beam, int32
            (sentences, beams, positions).
    """

    layers: list[KeysAndValues]
    ancestors: Tensor

    def reorder(self, parents: Tensor) -> "Cache":
        """Lets each beam go on from another: parents (sentences, beams)."""
        found = ops.take_along_axis(self.ancestors, ops.expand_dims(parents, 2), axis=1)
        return self._replace(ancestors=found)

    def grow(self, length: int) -> "Cache":
        """Adds room up to a number of positions."""
        more = length - int(self.ancestors.shape[2])

        def padded(x: Tensor) -> Tensor:
            return ops.pad(x, [(0, more if axis == 2 else 0) for axis in range(len(x.shape))])

        return keras.tree.map_structure(padded, self)


class Encoder(_Side):
    """From source tokens to states."""

    def __init__(self, arguments: TransformerArguments, policy: Any) -> None:
        super().__init__("source", arguments, policy)
        shared = arguments.share_embeddings == "all"
        name = "embedding" if shared else "source_embedding"
        self.embedding = self._make_embedding(arguments.source_vocabulary, name)
        self._blocks = [
            EncoderBlock(self._block_options(), dtype=policy, name=f"encoder_{i}")
            for i in range(arguments.encoder_layers)
        ]

    def states(self, source: Tensor, mask: Tensor, training: bool | None = None) -> Tensor:
        """Returns the states (batch, s, width) of ids (batch, s) with their mask (batch, s)."""
        x = self._embed(source, training)
        for block in self._blocks:
            x = block(x, mask, training=training)
        return self._normalised(x)


class Decoder(_Side):
    """From target tokens and the encoder's states to logits."""

    def __init__(
        self, arguments: TransformerArguments, policy: Any, source_embedding: TokenEmbedding
    ) -> None:
        super().__init__("target", arguments, policy)
        if arguments.share_embeddings == "all":
            self.embedding = source_embedding
        else:
            self.embedding = self._make_embedding(arguments.target_vocabulary, "target_embedding")
        self._blocks = [
            DecoderBlock(self._block_options(), dtype=policy, name=f"decoder_{i}")
            for i in range(arguments.decoder_layers)
        ]
        self._head = self._make_head()

    def _make_head(self) -> VocabularyHead:
        arguments = self._arguments
        half = self._policy.compute_dtype in ("float16", "bfloat16")
        dtype = "float32" if half else self._policy
        if arguments.share_embeddings != "none":
            return VocabularyHead(tied_to=self.embedding, dtype=dtype, name="logits")
        initializer = keras.initializers.RandomNormal(stddev=arguments.width**-0.5)
        return VocabularyHead(
            arguments.target_vocabulary,
            kernel_initializer=initializer,
            dtype=dtype,
            name="logits",
        )

    def logits(self, target: Tensor, states: Tensor, source_mask: Tensor) -> Tensor:
        """Returns the logits (batch, t, vocabulary) of ids (batch, t) in training's form."""
        x = self._embed(target, None)
        for block in self._blocks:
            x = block(x, states, source_mask)
        return self._head(self._normalised(x))

    def start(
        self, states: Tensor, rows: Any, length: int, beams: int
    ) -> tuple[list[KeysAndValues], Cache]:
        """Returns for each layer the projected states, and an empty cache."""
        projected = [block.cross_attention.project(states) for block in self._blocks]
        layers = [block.self_attention.empty(rows, length, beams) for block in self._blocks]
        return projected, Cache(layers, ops.zeros((rows, beams, length), "int32"))

    def step(
        self,
        tokens: Tensor,
        position: Tensor,
        projected: list[KeysAndValues],
        source_mask: Tensor,
        cache: Cache,
    ) -> tuple[Tensor, Cache]:
        """Returns the logits (batch, beams, vocabulary) of tokens (batch, beams), and the cache."""
        beams, length = (int(size) for size in cache.ancestors.shape[1:])
        places = ops.arange(length, dtype="int32")
        position = ops.cast(position, "int32")
        numbers = ops.arange(beams, dtype="int32")
        here = ops.equal(places, position)
        ancestors = ops.where(here, ops.expand_dims(numbers, 1), cache.ancestors)
        allowed = ops.logical_and(
            ops.equal(ops.expand_dims(ancestors, 3), numbers),
            ops.expand_dims(ops.less_equal(places, position), 1),
        )
        x = self._positions.one(self.embedding(tokens), position, length)
        layers = []
        for block, states, before in zip(self._blocks, projected, cache.layers, strict=True):
            x, kept = block.step(x, position, states, source_mask, before, allowed)
            layers.append(kept)
        return self._head(self._normalised(x)), Cache(layers, ancestors)
