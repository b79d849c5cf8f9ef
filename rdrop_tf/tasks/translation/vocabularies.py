"""The subwords of both languages: trained from text, kept in a run's folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rdrop_tf.text.subwords import Subwords

FILES = ("source.model", "target.model")


@dataclass(frozen=True)
class Vocabularies:
    """The subwords of source and target; with a joint vocabulary they are the same object."""

    source: Subwords
    target: Subwords

    @property
    def joint(self) -> bool:
        """Whether both languages share one vocabulary, and the model its embeddings."""
        return self.source is self.target

    @classmethod
    def train(
        cls,
        source: Sequence[str],
        target: Sequence[str],
        size: int,
        *,
        joint: bool,
        **options: Any,
    ) -> "Vocabularies":
        """Trains them from the training text.

        Args:
            source: Sentences.
            target: Their translations.
            size: Subwords of each vocabulary.
            joint: Whether there is one vocabulary for both languages.
            **options: Of `Subwords.train`.

        Raises:
            ValueError: If the text has not so many subwords.
        """
        if joint:
            both = Subwords.train([*source, *target], size, **options)
            return cls(both, both)
        return cls(Subwords.train(source, size, **options), Subwords.train(target, size, **options))

    def save(self, folder: Path) -> None:
        """Writes them into a folder; a joint one once."""
        self.source.save(folder / FILES[0])
        if not self.joint:
            self.target.save(folder / FILES[1])

    @classmethod
    def load(cls, folder: Path) -> "Vocabularies":
        """Reads what `save` wrote."""
        source = Subwords.load(folder / FILES[0])
        other = folder / FILES[1]
        return cls(source, Subwords.load(other) if other.exists() else source)
