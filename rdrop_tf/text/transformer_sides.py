"""Encoder and decoder of a Transformer: their layers in order, for graphs and for decoding.

No layers themselves: each layer below is one of the model that is made of them.
"""

from typing import Any

import keras
from keras import layers

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
        self, states: Tensor, rows: Any, length: int
    ) -> tuple[list[KeysAndValues], list[KeysAndValues]]:
        """Returns for each layer the projected states, and an empty cache."""
        projected = [block.cross_attention.project(states) for block in self._blocks]
        return projected, [block.self_attention.empty(rows, length) for block in self._blocks]

    def step(
        self,
        tokens: Tensor,
        position: Tensor,
        projected: list[KeysAndValues],
        source_mask: Tensor,
        cache: list[KeysAndValues],
    ) -> tuple[Tensor, list[KeysAndValues]]:
        """Returns the logits (rows, vocabulary) of tokens (rows, 1), and the next cache."""
        length = int(cache[0]["key"].shape[2])
        x = self._positions.one(self.embedding(tokens), position, length)
        kept = []
        for block, states, before in zip(self._blocks, projected, cache, strict=True):
            x, now = block.step(x, position, states, source_mask, before)
            kept.append(now)
        return self._head(self._normalised(x))[:, 0], kept
