"""From sentences to sentences by a trained Transformer."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from rdrop_tf.tasks.translation.vocabularies import Vocabularies
from rdrop_tf.text.decoding import Generator
from rdrop_tf.text.parallel_text import is_empty

# All that ends a line for some reader; a vocabulary with bytes can write each of them.
_NO_LINE_BREAKS = str.maketrans(dict.fromkeys("\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029", " "))


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
        """Translates sentences, each into one line; what is empty, or blanks alone, stays empty."""
        sentences = ["" if is_empty(sentence) else sentence for sentence in sentences]
        ids = [self._cut(tokens) for tokens in self._vocabularies.source.encode(sentences)]
        places = [place for place, tokens in enumerate(ids) if tokens]
        found = [""] * len(ids)
        if places:
            end = self._vocabularies.source.end_id
            outputs = self._generate([[*ids[place], end] for place in places])
            texts = self._vocabularies.target.decode(outputs.tokens[:, 0].tolist())
            for place, text in zip(places, texts, strict=True):
                found[place] = text.translate(_NO_LINE_BREAKS)
        return found

    def stream(
        self,
        sentences: Iterable[str],
        at_a_time: int,
        has_arrived: Callable[[], bool] | None = None,
    ) -> Iterator[str]:
        """Translates sentences as they come, some at a time.

        Args:
            sentences: The sentences.
            at_a_time: The most that are translated together.
            has_arrived: Tells whether the next one is there; those before one that is not are
                translated without it. None waits for `at_a_time`.

        Raises:
            ValueError: If `sentences` does, after the translations of those before.
        """
        rest, batch = iter(sentences), list[str]()
        failure: ValueError | None = None
        while failure is None:
            try:
                batch.append(next(rest))
            except StopIteration:
                break
            except ValueError as error:
                failure = error
            if len(batch) == at_a_time or (has_arrived is not None and not has_arrived()):
                yield from self(batch)
                batch.clear()
        yield from self(batch)
        if failure is not None:
            raise failure

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
