"""A translator in one SavedModel: text in, text out."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from rdrop_tf._optional import require
from rdrop_tf._typing import Tensor
from rdrop_tf.text.decoding import beam_search
from rdrop_tf.text.decoding.checks import check_whole
from rdrop_tf.text.decoding.options import check_options
from rdrop_tf.text.subwords import Subwords

if TYPE_CHECKING:
    from rdrop_tf.text.transformer import Transformer


def export_translator(
    path: str | Path,
    network: "Transformer",
    source: Subwords,
    target: Subwords,
    *,
    longest: int = 128,
    **options: Any,
) -> None:
    """Writes a SavedModel whose endpoint `serve` turns sentences into translations.

    It takes a string tensor of shape (sentences,) and gives one; a sentence that is empty, or
    blanks alone, gives an empty one. Vocabularies, normalization and beam search are inside.
    Whoever loads it needs TensorFlow and has `import tensorflow_text`, which registers the
    vocabulary's operations.

    Its shapes are fixed, which costs time with short sentences: to translate files use
    `rdrop predict`, which sorts them.

    Args:
        path: The folder to write.
        network: The trained Transformer.
        source: The vocabulary of the sources, a sentencepiece one.
        target: That of the targets; may be the same object.
        longest: Tokens of a source, that at its end included; what is beyond them is cut off. Never
            more than learned positions reach.
        **options: Of `rdrop_tf.text.decoding.beam_search`, such as `beams`.

    Raises:
        ValueError: If a vocabulary is not sentencepiece's or does not fit the model, the backend
            is not TensorFlow, or `longest` is below 2.
        ImportError: If tensorflow-text is missing.
    """
    check_whole("longest", longest, 2)
    check_options(beam_search, options, network)
    longest = min(longest, network.longest or longest)
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "a SavedModel needs the TensorFlow backend; got "
            f"{keras.backend.backend()}: set KERAS_BACKEND=tensorflow"
        )
    if network.vocabularies != (source.size, target.size):
        raise ValueError(
            "a model must have as many source and target ids as its vocabularies; got a "
            f"Transformer of {network.vocabularies} for {(source.size, target.size)}"
        )
    require("tensorflow_text", extra="text")
    import tensorflow as tf

    encode, decode = _GraphSubwords(source), _GraphSubwords(target)
    ids: dict[str, Any] = {
        "start_id": target.start_id,
        "end_id": target.end_id,
        "pad_id": target.pad_id,
    }

    def serve(texts: Tensor) -> Tensor:
        rows = encode.tokenize(texts)[:, : longest - 1]
        is_empty = tf.equal(rows.row_lengths(), 0) | tf.strings.regex_full_match(texts, _BLANKS)
        ends = tf.fill([rows.nrows(), 1], source.end_id)
        tokens = tf.concat([rows, ends], axis=1).to_tensor(source.pad_id, shape=(None, longest))
        found = beam_search(network, tokens, **ids, **options)
        return tf.where(is_empty, "", decode.detokenize(found.tokens[:, 0]))

    archive = keras.export.ExportArchive()
    archive.track(network)
    for side in (encode, decode):
        archive.track(side.tokenizer)
    archive.add_endpoint("serve", serve, [tf.TensorSpec((None,), tf.string, name="texts")])
    archive.write_out(str(path), verbose=False)


# What `str.strip` takes away, for RE2.
_BLANKS = r"[\s\v\x1c-\x1f\x{85}\pZ]*"


class _GraphSubwords:
    """A vocabulary as operations of TensorFlow, with this package's special ids."""

    def __init__(self, subwords: Subwords) -> None:
        import tensorflow_text

        model, pieces = subwords.sentencepiece_model()
        self.tokenizer = tensorflow_text.SentencepieceTokenizer(model)
        # Of an id its piece (unknown for none), and of a piece its id.
        present = pieces >= 0
        self._pieces = np.where(present, pieces, pieces[subwords.unknown_id]).astype("int32")
        self._ids = np.zeros(pieces.max() + 1, "int32")
        self._ids[pieces[present]] = np.flatnonzero(present)
        self._never = [subwords.pad_id, subwords.start_id, subwords.end_id]

    def tokenize(self, texts: Tensor) -> Any:
        """Returns a ragged tensor of ids."""
        import tensorflow as tf

        return tf.ragged.map_flat_values(
            lambda pieces: tf.gather(self._ids, pieces), self.tokenizer.tokenize(texts)
        )

    def detokenize(self, tokens: Tensor) -> Tensor:
        """Joins rows of ids, without special ones."""
        import tensorflow as tf

        is_word = tf.reduce_all([tf.not_equal(tokens, i) for i in self._never], axis=0)
        pieces = tf.ragged.boolean_mask(tf.gather(self._pieces, tokens), is_word)
        return self.tokenizer.detokenize(pieces)
