"""The subwords of both languages: trained from text, kept in a run's folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rdrop_tf.text.subwords import Subwords

FILES = ("source.model", "target.model")


def files_of_subwords(setting: Any) -> list[tuple[str, ...]]:
    """Reads the setting that names the user's own vocabularies.

    Args:
        setting: A file of sentencepiece, {"codes": file, "dictionary": file} of subword-nmt and
            fairseq, or two of these for source and target.

    Returns:
        The files of the one vocabulary, or of each.

    Raises:
        ValueError: If the setting is none of these.

    Example:
    >>> files_of_subwords(["de.model", {"codes": "codes", "dictionary": "dict.en.txt"}])
    [('de.model',), ('codes', 'dict.en.txt')]
    """
    sides = setting if isinstance(setting, list) and len(setting) == 2 else [setting]
    found: list[tuple[str, ...]] = []
    for side in sides:
        if isinstance(side, str):
            found.append((side,))
        elif isinstance(side, dict) and sorted(side) == ["codes", "dictionary"]:
            found.append((str(side["codes"]), str(side["dictionary"])))
        else:
            raise ValueError(
                'data.subwords must be a file of sentencepiece, {"codes": FILE, "dictionary": '
                "FILE} of subword-nmt and fairseq, or a list of two for source and target; got "
                f"{setting!r}"
            )
    return found


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

    @classmethod
    def of_files(cls, files: Sequence[Sequence[str]]) -> "Vocabularies":
        """Reads them from the user's files, of the forms that `files_of_subwords` knows.

        Args:
            files: Those of the one vocabulary of both languages, or of each language's.

        Raises:
            ValueError: If a file holds no vocabulary.
            OSError: If a file is not there.
        """
        read = [
            Subwords.from_subword_nmt(*own) if own[1:] else Subwords.load(*own) for own in files
        ]
        return cls(read[0], read[-1])

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
