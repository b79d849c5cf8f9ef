"""What the arguments of a Transformer must be."""

from dataclasses import dataclass
from typing import Any

from rdrop_tf.losses.checks import check_choice

NORMS = ("post", "pre")
POSITIONS = ("sinusoidal", "learned")
SHARED = ("all", "decoder", "none")


@dataclass(frozen=True)
class TransformerArguments:
    """The checked arguments of a Transformer: see there.

    Raises:
        ValueError: If one of them, or two of them together, make no model.
    """

    source_vocabulary: int
    target_vocabulary: int
    encoder_layers: int
    decoder_layers: int
    width: int
    hidden: int
    heads: int
    dropout: float
    attention_dropout: float
    activation_dropout: float
    activation: str
    positions: str
    max_length: int
    norm: str
    share_embeddings: str
    pad_id: int

    def __post_init__(self) -> None:
        for name in _COUNTS:
            _check_count(name, getattr(self, name))
        for name in ("dropout", "attention_dropout", "activation_dropout"):
            _check_rate(name, getattr(self, name))
        check_choice("positions", self.positions, POSITIONS)
        check_choice("norm", self.norm, NORMS)
        check_choice("share_embeddings", self.share_embeddings, SHARED)
        self._check_heads()
        self._check_sharing()
        self._check_pad_id()

    def _check_heads(self) -> None:
        if self.width % self.heads:
            raise ValueError(
                f"`heads` must divide `width`. Received: heads={self.heads} and "
                f"width={self.width}; choose a divisor of {self.width}"
            )

    def _check_sharing(self) -> None:
        if self.share_embeddings == "all" and self.source_vocabulary != self.target_vocabulary:
            raise ValueError(
                "share_embeddings='all' needs one vocabulary for source and target. Received: "
                f"source_vocabulary={self.source_vocabulary} and "
                f"target_vocabulary={self.target_vocabulary}; use share_embeddings='decoder' to "
                "share only those of the target with the head"
            )

    def _check_pad_id(self) -> None:
        smaller = min(self.source_vocabulary, self.target_vocabulary)
        if not _is_whole(self.pad_id) or not 0 <= self.pad_id < smaller:
            raise ValueError(
                "`pad_id` must be an id of both vocabularies, "
                f"0 to {smaller - 1}. Received: pad_id={self.pad_id!r}"
            )


_COUNTS = (
    "source_vocabulary",
    "target_vocabulary",
    "encoder_layers",
    "decoder_layers",
    "width",
    "hidden",
    "heads",
    "max_length",
)


def layers_of_each(layers: Any, encoder_layers: Any, decoder_layers: Any) -> tuple[Any, Any]:
    """Returns the layers of the encoder and of the decoder: their own, or those of both.

    Raises:
        ValueError: If one side has none.
    """
    encoder = layers if encoder_layers is None else encoder_layers
    decoder = layers if decoder_layers is None else decoder_layers
    if encoder is None or decoder is None:
        raise ValueError(
            "A Transformer needs `layers`, or both `encoder_layers` and `decoder_layers`. "
            f"Received: layers={layers!r}, encoder_layers={encoder_layers!r} and "
            f"decoder_layers={decoder_layers!r}"
        )
    return encoder, decoder


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_count(name: str, value: Any) -> None:
    if not _is_whole(value) or value < 1:
        raise ValueError(f"`{name}` must be a whole number >= 1. Received: {name}={value!r}")


def _check_rate(name: str, value: Any) -> None:
    if not isinstance(value, int | float) or not 0 <= value < 1:
        raise ValueError(f"`{name}` must be a rate, 0 <= rate < 1. Received: {name}={value!r}")
