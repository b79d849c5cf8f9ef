"""From sentences to sentences by a trained Transformer."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from rdrop_tf.tasks.translation.vocabularies import Vocabularies
from rdrop_tf.text.decoding import Generator
from rdrop_tf.text.parallel_text import is_empty


class Translator:
    """Translates any number of sentences, in their order.

    Args:
        network: The `Transformer`.
        vocabularies: Its subwords.
        batch_size: Sentences decoded at a time.
        **options: Of `beam_search`, such as `beams` and `length_penalty`.

    Where the model has learned positions, the rest of a longer source is cut off with a warning.

    Raises:
        ValueError: If the Transformer is of other vocabularies than these.
    """

    def __init__(
        self,
        network: Any,
        vocabularies: Vocabularies,
        *,
        batch_size: int = 64,
        **options: Any,
    ) -> None:
        source, target = vocabularies.source, vocabularies.target
        if network.vocabularies != (source.size, target.size):
            raise ValueError(
                "a model must have as many source and target ids as its vocabularies; got a "
                f"Transformer of {network.vocabularies} for {(source.size, target.size)}: take "
                "the vocabularies that it was trained with"
            )
        self.network = network
        self._vocabularies = vocabularies
        self._generate = Generator(
            network,
            batch_size=batch_size,
            start_id=target.start_id,
            end_id=target.end_id,
            pad_id=target.pad_id,
            **options,
        )

    def __call__(self, sentences: Sequence[str]) -> list[str]:
        """Translates sentences; one that is empty, or blanks alone, becomes an empty one."""
        sentences = ["" if is_empty(sentence) else sentence for sentence in sentences]
        ids = [self._cut(tokens) for tokens in self._vocabularies.source.encode(sentences)]
        places = [place for place, tokens in enumerate(ids) if tokens]
        found = [""] * len(ids)
        if places:
            end = self._vocabularies.source.end_id
            outputs = self._generate([[*ids[place], end] for place in places])
            texts = self._vocabularies.target.decode(outputs.tokens[:, 0].tolist())
            for place, text in zip(places, texts, strict=True):
                found[place] = text
        return found

    def stream(self, sentences: Iterable[str], at_a_time: int) -> Iterator[str]:
        """Translates sentences as they come, some at a time."""
        rest = iter(sentences)
        while batch := list(islice(rest, at_a_time)):
            yield from self(batch)

    def _cut(self, tokens: list[int]) -> list[int]:
        longest = self.network.longest  # with the end token
        if longest is None or len(tokens) < longest:
            return tokens
        most = longest - 1
        warnings.warn(
            f"a source may have {most} subwords, as the model has positions for no more; one has "
            f"{len(tokens)}: what is beyond them is cut off",
            stacklevel=4,
        )
        return tokens[:most]
