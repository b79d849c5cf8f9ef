"""Translation: two line-aligned texts, a Transformer, and BLEU."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from rdrop_tf._typing import Nested, Tensor
from rdrop_tf.losses import SmoothedSparseCategoricalCrossentropy, symmetric_kl
from rdrop_tf.metrics.moses import MOSES_LANGUAGES
from rdrop_tf.metrics.translation import translation_figures
from rdrop_tf.recipes import Recipe
from rdrop_tf.tasks.parts import Examples, Part, Splits
from rdrop_tf.tasks.task import Metric, Task
from rdrop_tf.tasks.translation.corpus import read_split
from rdrop_tf.tasks.translation.report import difference_of, signed_figures
from rdrop_tf.tasks.translation.shards import (
    DECIDES_SUBWORDS,
    pairs_of_common_length,
    splits_of,
    write_pairs,
)
from rdrop_tf.tasks.translation.token_log import TokenLog
from rdrop_tf.tasks.translation.translator import Translator
from rdrop_tf.tasks.translation.vocabularies import Vocabularies, files_of_subwords
from rdrop_tf.text import ShardTokenBatches, Transformer
from rdrop_tf.text.batches import Rows, TokenBatches
from rdrop_tf.text.decoding import beam_search
from rdrop_tf.text.decoding.checks import check_whole
from rdrop_tf.text.decoding.options import check_options
from rdrop_tf.text.pair_lengths import select_pairs
from rdrop_tf.text.parallel_text import ParallelText
from rdrop_tf.text.transformer import check_changes

METRICS = {
    "sacrebleu": Metric("sacrebleu", 1, "BLEU", "BLEU", higher_is_better=True),
    "tokenized_bleu": Metric("tokenized_bleu", 1, "BLEU", "BLEU", higher_is_better=True),
    "chrf": Metric("chrf", 1, "chrF", "chrF", higher_is_better=True),
}
SPLITS = ("train", "validation", "test")


class Translation(Task):
    """A pair of languages.

    The recipe's `batch_size` is the number of target tokens of a batch, padding included. In
    training the development part is decoded with `validation_beams`, all else with `beams`.

    Args:
        recipe: Its `data` says where the text lies (`folder`, None for the tensorflow-datasets
            name `tfds`), the languages `source` and `target`, the files' names of each split
            (`splits`), how many training `rows` are used (None for all), the vocabulary (files of
            one, `subwords`, or how it is trained: `vocabulary` subwords, `joint`, `kind`, `lower`,
            `normalization`, `character_coverage`), `subword_dropout`, the `longest` sentence in
            subwords, the most shapes of batches (`buckets`) and the `metric` it is judged by; its
            `model` the `size`, what differs from it (`changes`), `label_smoothing`, and the options
            of decoding: `beams`, `validation_beams`, `length_penalty`, `min_length`, `max_length`.
        kept: The folder of a run whose lines are answered.
    """

    evaluation_batch = 64
    logs_gradient_norm = True

    def __init__(self, recipe: Recipe, kept: Path | None = None) -> None:
        super().__init__(recipe, kept)
        check_changes(recipe.model["size"], recipe.model["changes"])
        self._check_metric()
        if recipe.data["subwords"] is not None:
            files_of_subwords(recipe.data["subwords"])
        for name in ("vocabulary", "buckets", "longest"):
            check_whole(f"data.{name}", recipe.data[name], 1)
        for name in ("beams", "validation_beams"):
            # Before hours of training, not at its end.
            check_whole(name, recipe.model[name], 1)
            check_options(beam_search, _search(recipe.model, recipe.model[name]), decoder=None)

    def _check_metric(self) -> None:
        data = self.recipe.data
        if data["metric"] not in self._metrics:
            raise ValueError(
                f"data.metric must be one of {', '.join(self._metrics)} for translations into "
                f"{data['target']!r}; got {data['metric']!r}"
            )

    @property
    def metric(self) -> Metric:
        """The BLEU that the paper reports for these languages."""
        return METRICS[self.recipe.data["metric"]]

    @property
    def more_metrics(self) -> Sequence[Metric]:
        """The other figures of translations."""
        return [metric for name, metric in self._metrics.items() if name != self.metric.name]

    @property
    def _metrics(self) -> dict[str, Metric]:
        has_tokens = self.recipe.data["target"] in MOSES_LANGUAGES
        return {name: m for name, m in METRICS.items() if has_tokens or name != "tokenized_bleu"}

    # Data

    def splits(self) -> Splits:
        """Reads the sentences of all parts, once."""
        return self._splits

    @property
    def prepared_settings(self) -> Mapping[str, Any]:
        """What decides the subwords and the pairs."""
        data = self.recipe.data
        if data["subword_dropout"]:
            raise ValueError(
                "shards hold each pair's subwords, and subword_dropout draws them anew in every "
                f"epoch; got subword_dropout={data['subword_dropout']}: set it to 0, or train from "
                "the texts"
            )
        return {name: data[name] for name in DECIDES_SUBWORDS}

    def write_parts(self, folder: Path) -> Mapping[str, int]:
        """Writes the training part in subwords, the others as texts."""
        _, sides = self._trained_on
        return write_pairs(folder, sides, self.splits())

    def keep_prepared(self, folder: Path) -> Mapping[str, Any]:
        """Writes the subwords' vocabularies."""
        self.vocabularies.save(folder)
        return {}

    @cached_property
    def _splits(self) -> Splits:
        if self.prepared is not None:
            return splits_of(self.prepared)
        train, validation, test = (
            Examples(_strings(text.source), _strings(text.target))
            for text in (self._texts[split] for split in SPLITS)
        )
        return Splits(train, validation, test)

    @cached_property
    def _texts(self) -> dict[str, ParallelText]:
        texts = {split: read_split(self.recipe.data, split) for split in SPLITS}
        train, rows = texts["train"], self.recipe.data["rows"]
        texts["train"] = train if rows is None else train.only(range(min(rows, len(train))))
        return texts

    @cached_property
    def vocabularies(self) -> Vocabularies:
        """The subwords, of the run's folder or trained from the training part."""
        if self.kept is not None:
            return Vocabularies.load(self.kept)
        if self.prepared is not None:
            return Vocabularies.load(self.prepared.folder)
        data, train = self.recipe.data, self._texts["train"]
        if data["subwords"] is not None:
            return Vocabularies.of_files(files_of_subwords(data["subwords"]))
        names = ("joint", "kind", "lower", "normalization", "character_coverage")
        options = {name: data[name] for name in names}
        return Vocabularies.train(train.source, train.target, data["vocabulary"], **options)

    @cached_property
    def _encoded(self) -> tuple[list[list[int]], list[list[int]]]:
        """The subwords of the training part's sources and targets."""
        words, train = self.vocabularies, self._texts["train"]
        return words.source.encode(train.source), words.target.encode(train.target)

    @cached_property
    def _trained_on(self) -> tuple[ParallelText, tuple[Rows, Rows]]:
        """The training part without the pairs that are too long, as text and in subwords."""
        train, longest = self._texts["train"], self.recipe.data["longest"]
        kept, report = select_pairs(*self._encoded, max_tokens=longest, place=train.place)
        if len(kept) < len(train):
            warnings.warn(f"train: {report}", stacklevel=2)
        source, target = ([side[i] for i in kept] for side in self._encoded)
        return train.only(kept), (source, target)

    def training_batches(self, seed: int) -> TokenBatches | ShardTokenBatches:
        """Makes batches of similar lengths with the recipe's number of tokens."""
        if self.prepared is not None:
            shards = self.prepared.shards("train")
            return ShardTokenBatches(shards, seed=seed, **self._sizes)
        text, rows = self._trained_on
        return TokenBatches.from_text(
            text,
            self.vocabularies.source,
            self.vocabularies.target,
            rows=rows,
            dropout=self.recipe.data["subword_dropout"],
            seed=seed,
            **self._sizes,
        )

    @property
    def _sizes(self) -> dict[str, int]:
        """What a batch holds, and how many shapes of batches there may be."""
        return {"tokens": self.recipe.batch_size, "buckets": self.recipe.data["buckets"]}

    @property
    def steps_an_epoch(self) -> int:
        """How many batches the first epoch has; with subword dropout others may have a few more."""
        return self.training_batches(0).batches(0)

    def watchers(self, batches: Any) -> Sequence[keras.callbacks.Callback]:
        """Logs padding, tokens a second and traces."""
        return [TokenLog(batches)]

    # Model

    def model(self) -> keras.Model:
        """Builds the Transformer."""
        settings, words = self.recipe.model, self.vocabularies
        network = Transformer.of_size(
            settings["size"],
            words.source.size,
            None if words.joint else words.target.size,
            **settings["changes"],
        )
        if network.longest is not None:
            # Before the first evaluation, and not at the first batch that is too long.
            self.training_batches(0).check_model(network)
        return network

    def loss(self) -> keras.losses.Loss:
        """Returns the cross-entropy with label smoothing, a mean over the tokens."""
        return SmoothedSparseCategoricalCrossentropy(
            from_logits=True,
            label_smoothing=self.recipe.model["label_smoothing"],
            reduction="mean_with_sample_weight",
        )

    def probe(self, rows: int) -> Nested:
        """Returns pairs whose targets have the most common length: none is padded."""
        if self.prepared is not None:
            sources, targets = pairs_of_common_length(self.prepared.shards("train"), rows)
        else:
            sources, targets = self._encoded
        common = np.bincount([len(tokens) for tokens in targets]).argmax()
        chosen = [i for i, tokens in enumerate(targets) if len(tokens) == common][:rows]
        words = self.vocabularies
        return {
            "source": _padded([[*sources[i], words.source.end_id] for i in chosen]),
            "target": _padded([[words.target.start_id, *targets[i]] for i in chosen]),
        }

    def divergence(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns the paper's divergence, a mean over the tokens of each sentence."""
        return ops.mean(symmetric_kl(first, second), axis=-1)

    # Figures and answers

    def answers(self, model: keras.Model, part: Part) -> tuple[NDArray[Any], NDArray[Any]]:
        """Translates a part; returns the references and the translations."""
        beams = "beams"
        if part is self.splits().validation:
            beams = "validation_beams"
        translate = self.translator(model, self.recipe.model[beams])
        references, sources = _texts_of(part)
        return references, _strings(translate(sources))

    def translator(self, model: keras.Model, beams: int) -> Translator:
        """Makes what translates with a trained model."""
        network = getattr(model, "model", model)  # a Transformer inside an RDropModel
        kept = self._translators.get(beams)
        if kept is None or kept.network is not network:  # a task outlives its models
            settings = self.recipe.model
            kept = self._translators[beams] = Translator(
                network,
                self.vocabularies,
                batch_size=self.evaluation_batch,
                **_search(settings, beams),
            )
        return kept

    @cached_property
    def _translators(self) -> dict[int, Translator]:
        return {}

    def figures(self, y: NDArray[Any], predictions: NDArray[Any]) -> Mapping[str, float]:
        """Works out BLEU in both conventions, and chrF."""
        found = translation_figures(predictions.tolist(), y.tolist(), **self._convention)
        return {name: figure.score for name, figure in found.items()}

    def notes(self, y: NDArray[Any], predictions: NDArray[Any]) -> Sequence[str]:
        """Says each figure with its signature, and the interval of sacreBLEU."""
        return signed_figures(predictions.tolist(), y.tolist(), **self._convention)

    def difference(
        self, y: NDArray[Any], predictions: NDArray[Any], others: NDArray[Any]
    ) -> Sequence[str]:
        """Tests the difference of sacreBLEU by paired bootstrap."""
        hypotheses = predictions.tolist()
        return [difference_of(hypotheses, others.tolist(), y.tolist(), **self._convention)]

    @property
    def _convention(self) -> dict[str, Any]:
        data = self.recipe.data
        return {"language": data["target"], "lowercase": data["lower"]}

    def keep(self, folder: Path) -> None:
        """Writes the subwords."""
        self.vocabularies.save(folder)

    def read_line(self, line: str) -> str:
        """Takes any line of characters; Python may give bytes that are none as surrogates."""
        try:
            line.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"a line must be UTF-8; got something else at character {error.start + 1}"
            ) from error
        return line.rstrip("\r\n")

    def write_lines(self, predictions: NDArray[Any]) -> Sequence[str]:
        """Returns translations as they are."""
        return [str(text) for text in predictions]

    def answer_lines(
        self,
        model: keras.Model,
        lines: Iterable[str],
        has_arrived: Callable[[], bool] | None = None,
    ) -> Iterator[str]:
        """Translates lines in their order, as they come, and those before one that breaks the form.

        Args:
            model: The trained model.
            lines: Sentences.
            has_arrived: Tells whether the next one is there, without waiting for it.
        """
        translate = self.translator(model, self.recipe.model["beams"])
        sentences = (self._numbered(number, line) for number, line in enumerate(lines, start=1))
        return translate.stream(sentences, self.evaluation_batch, has_arrived)


def _search(settings: Mapping[str, Any], beams: int) -> dict[str, Any]:
    """Returns the options of beam search that a recipe's model has."""
    lengths = {name: settings[name] for name in ("min_length", "max_length")}
    return {"beams": beams, "length_penalty": settings["length_penalty"], **lengths}


def _texts_of(part: Part) -> tuple[NDArray[Any], list[str]]:
    """Returns the targets and the sources of a part that is in memory."""
    assert isinstance(part, Examples)
    return part.y, list(part.x)


def _strings(lines: Sequence[str]) -> NDArray[Any]:
    return np.array(lines, dtype=object)


def _padded(rows: Sequence[Sequence[int]], pad_id: int = 0) -> NDArray[Any]:
    batch = np.full((len(rows), max(map(len, rows))), pad_id, "int32")
    for line, row in zip(batch, rows, strict=True):
        line[: len(row)] = row
    return batch
