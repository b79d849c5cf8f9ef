"""How fast a Transformer translates: sentences a second.

    python -m benchmarks.decoding --data DIR       about 12 minutes on 2 cores
    python -m benchmarks.decoding --smoke          seconds, on made-up text, to see that it runs

DIR holds Multi30k: train and test_2016_flickr, .en and .de, plain or gz. The model is "tiny" with
random weights, which never end a sentence by themselves: every output has as many tokens as its
source, and 5 more, at which it is made to end. Beam search has 5 beams.

cached, batch 64        `Generator` on all sentences, by length
cached, one by one      `Generator` with batch_size=1, on every 16th sentence by length
uncached, batch 64      the same search, where each step calls the model on the whole prefix; on
                        2 batches of the 16 by length, those in the middle of each half
cached, the same        `Generator` on those 2 batches, to compare with
XLA, batch 64           as cached, `Generator(jit_compile=True)`
XLA, one by one         likewise
greedy, batch 64        `Generator` without beams, on all sentences
ctranslate2, batch 64   CTranslate2 with the same weights and batches in float32, each batch up to
                        the length of its longest output, on all sentences; where it is installed

The ways take turns; rates are by sentence, and are divided round by round. Loading and compiling
are not timed. Writes benchmarks/results/decoding.csv.
"""

import argparse
import importlib
import importlib.util
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from keras import ops

from benchmarks import report
from benchmarks.timing import interleaved, ratios, spread
from benchmarks.translation import joint_subwords, made_up_text, multi30k
from rdrop_tf._typing import Nested, Tensor
from rdrop_tf.layers.positions import sinusoids
from rdrop_tf.text import Transformer
from rdrop_tf.text.decoding import Generator
from rdrop_tf.text.subwords import Subwords

RESULTS = report.RESULTS / "decoding.csv"
BEAMS = 5
# Tokens of an output before its end: those of the source, and so many more.
MORE = 5
CACHED, ONE, UNCACHED = "cached, batch 64", "cached, one by one", "uncached, batch 64"
SAME, GREEDY, PEER = "cached, the same", "greedy, batch 64", "ctranslate2, batch 64"
XLA, XLA_ONE = "XLA, batch 64", "XLA, one by one"
# Whose rates each way's are compared with.
AGAINST = {
    CACHED: (ONE, PEER),
    XLA: (XLA_ONE, CACHED, PEER),
    SAME: (UNCACHED,),
    GREEDY: (CACHED,),
}
Tokens = list[int]


@dataclass(frozen=True)
class Sizes:
    """How much is decoded.

    Attributes:
        vocabulary: Joint subwords of both languages.
        batch: Sentences of a batch.
        every: Of the sentences by length, every so manieth goes one by one.
        slow: Batches of the slow way.
        changes: What differs from the size "tiny".
    """

    vocabulary: int = 8000
    batch: int = 64
    every: int = 16
    slow: int = 2
    changes: tuple[tuple[str, Any], ...] = ()

    def build(self) -> Transformer:
        return Transformer.of_size("tiny", self.vocabulary, **dict(self.changes))


SMALL = (("layers", 1), ("width", 16), ("hidden", 32), ("heads", 2))
SMOKE = Sizes(vocabulary=300, batch=4, every=4, slow=1, changes=SMALL)


class Timed(NamedTuple):
    """A way: what runs it once, and on how many sentences."""

    run: Callable[[], object]
    sentences: int


class Uncached:
    """A model that is called on the whole prefix at each step; what it keeps is the tokens.

    Args:
        model: The Transformer.
    """

    def __init__(self, model: Transformer) -> None:
        self.model = model

    @property
    def variables(self) -> list[Any]:
        return list(self.model.variables)

    def start(self, source: Tensor, length: int) -> tuple[Nested, Nested]:
        return source, ops.zeros((ops.shape(source)[0], length), "int32")

    def step(
        self, tokens: Tensor, position: Tensor, constant: Nested, cache: Nested
    ) -> tuple[Tensor, Nested]:
        here = ops.equal(ops.arange(cache.shape[1], dtype="int32"), position)
        kept = ops.where(here, ops.expand_dims(tokens, 1), cache)
        inputs = {"source": constant, "target": kept[:, : position + 1]}
        return self.model(inputs, training=False)[:, -1], kept


def main(argv: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", type=Path, help="the folder of Multi30k")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--smoke", action="store_true")
    options.add_argument("--out", type=Path, default=RESULTS)
    chosen = options.parse_args(argv)
    if chosen.data is None and not chosen.smoke:
        options.error("--data DIR is needed, the folder of Multi30k (or --smoke)")
    sizes = SMOKE if chosen.smoke else Sizes()
    if chosen.smoke:
        text = made_up_text()
        sources = encoded(joint_subwords(text, sizes.vocabulary), text.source[:8])
    else:
        subwords = joint_subwords(multi30k(chosen.data, "train"), sizes.vocabulary)
        sources = encoded(subwords, multi30k(chosen.data, "test").source)
    keras.utils.set_random_seed(0)
    rows = measure(sizes, sources, 2 if chosen.smoke else chosen.rounds)
    report.write(chosen.out, rows, {**report.machine("tensorflow"), "ctranslate2": peer_version()})


def encoded(subwords: Subwords, lines: Sequence[str]) -> list[Tokens]:
    """Returns the tokens of sentences with the end token, short ones first."""
    rows = [[*row, subwords.end_id] for row in subwords.encode(lines)]
    return sorted(rows, key=len)


def measure(sizes: Sizes, sources: list[Tokens], rounds: int) -> list[report.Row]:
    """Times all ways in turns; returns their rows."""
    with tempfile.TemporaryDirectory() as folder:
        ways = ways_of(sizes, sizes.build(), sources, Path(folder))
        found = interleaved({name: way.run for name, way in ways.items()}, rounds, repeats=1)
    times = {name: [ms / ways[name].sentences for ms in own] for name, own in found.items()}
    return table(ways, times)


def ways_of(
    sizes: Sizes, model: Transformer, sources: list[Tokens], folder: Path
) -> dict[str, Timed]:
    """All ways, each with the sentences it decodes."""
    singles, few = sources[sizes.every // 2 :: sizes.every], spread_out(sources, sizes)
    cached = generator(model, batch_size=sizes.batch)
    one_by_one = generator(model, batch_size=1)
    uncached = generator(Uncached(model), batch_size=sizes.batch)
    greedy = Generator(model, "greedy", batch_size=sizes.batch, max_length=(1.0, MORE))
    ways = {
        CACHED: _timed(cached, sources),
        ONE: _timed(one_by_one, singles),
        UNCACHED: _timed(uncached, few),
        SAME: _timed(cached, few),
        XLA: _timed(generator(model, batch_size=sizes.batch, jit_compile=True), sources),
        XLA_ONE: _timed(generator(model, batch_size=1, jit_compile=True), singles),
        GREEDY: _timed(greedy, sources),
    }
    if peer_version():
        translate = Peer(model, folder, sizes.batch)
        ways[PEER] = _timed(translate, sources)
    else:
        print("CTranslate2 is left out: it is not installed")
    return ways


def generator(decoder: Any, **options: Any) -> Generator:
    """The beam search of all ways."""
    return Generator(decoder, beams=BEAMS, max_length=(1.0, MORE), **options)


def spread_out(sources: list[Tokens], sizes: Sizes) -> list[Tokens]:
    """Returns whole batches of sentences by length, from the middle of equal parts of them."""
    batches = in_batches(sources, sizes.batch)
    part = len(batches) / sizes.slow
    chosen = [batches[int(part * (i + 0.5))] for i in range(sizes.slow)]
    return [row for batch in chosen for row in batch]


def in_batches(sources: list[Tokens], size: int) -> list[list[Tokens]]:
    return [sources[first : first + size] for first in range(0, len(sources), size)]


def _timed(run: Callable[[list[Tokens]], object], sources: list[Tokens]) -> Timed:
    return Timed(lambda: run(sources), len(sources))


# CTranslate2


def peer_version() -> str:
    """Returns the version of CTranslate2, "" without it."""
    if importlib.util.find_spec("ctranslate2") is None:
        return ""
    return str(importlib.import_module("ctranslate2").__version__)


class Peer:
    """CTranslate2 with the weights of a model, on the batches that `Generator` makes.

    Args:
        model: A Transformer with post-norm and one embedding for all.
        folder: Where its converted weights are kept until it has read them.
        batch: Sentences of a batch.

    Call arguments:
        sources: Sentences, by length.

    Returns:
        The tokens of the best outputs: as many as `Generator` gives the longest of a batch with
        its end, and no end.
    """

    def __init__(self, model: Transformer, folder: Path, batch: int) -> None:
        self._batch = batch
        converted(model).save(str(folder))
        self._translator = importlib.import_module("ctranslate2").Translator(
            str(folder),
            compute_type="float32",
            intra_threads=os.cpu_count() or 1,
            inter_threads=1,
        )

    def __call__(self, sources: list[Tokens]) -> list[Tokens]:
        return [row for batch in in_batches(sources, self._batch) for row in self._translate(batch)]

    def _translate(self, batch: list[Tokens]) -> list[Tokens]:
        found = self._translator.translate_batch(
            [[str(token) for token in row] for row in batch],
            beam_size=BEAMS,
            max_decoding_length=max(map(len, batch)) + MORE + 1,
            # What is never generated here either: padding and start.
            suppress_sequences=[["0"], ["1"]],
        )
        return [[int(token) for token in each.hypotheses[0]] for each in found]


def converted(model: Transformer) -> Any:
    """Returns the weights in CTranslate2's form."""
    specs = importlib.import_module("ctranslate2.specs")
    arguments = model.get_config()
    layers = (arguments["encoder_layers"], arguments["decoder_layers"])
    spec = specs.TransformerSpec.from_config(layers, arguments["heads"], pre_norm=False)
    matrix = model.get_layer("embedding").get_weights()[0]
    places = sinusoids(512, arguments["width"]).astype("float32")
    spec.encoder.embeddings[0].weight = spec.decoder.embeddings.weight = matrix
    spec.decoder.projection.weight = matrix
    for side, name in ((spec.encoder, "encoder"), (spec.decoder, "decoder")):
        side.position_encodings.encodings = places
        for i, layer in enumerate(side.layer):
            fill_layer(layer, weights_by_path(model.get_layer(f"{name}_{i}")))
    # Tokens are the numbers themselves.
    names = [str(token) for token in range(len(matrix))]
    spec.register_source_vocabulary(names)
    spec.register_target_vocabulary(names)
    spec.config.bos_token = spec.config.decoder_start_token = "1"
    spec.config.eos_token, spec.config.unk_token = "2", "3"
    spec.validate()
    return spec


def weights_by_path(block: keras.layers.Layer) -> dict[str, Any]:
    """Returns the weights of a block by what follows its name in their paths."""
    return {
        weight.path.partition(f"{block.name}/")[2]: np.asarray(weight.value)
        for weight in block.weights
    }


def fill_layer(layer: Any, weights: dict[str, Any]) -> None:
    """Puts the weights of a block in their places."""

    def linear(spec: Any, path: str) -> None:
        spec.weight = np.ascontiguousarray(weights[f"{path}/kernel"].T)
        spec.bias = weights[f"{path}/bias"]

    def norm(spec: Any, sublayer: str) -> None:
        spec.gamma = weights[f"{sublayer}_sum/norm/gamma"]
        spec.beta = weights[f"{sublayer}_sum/norm/beta"]

    linear(layer.self_attention.linear[0], "self_attention/query_key_value")
    linear(layer.self_attention.linear[1], "self_attention/output")
    norm(layer.self_attention.layer_norm, "self_attention")
    if hasattr(layer, "attention"):
        for spec, name in zip(
            layer.attention.linear, ("query", "key_value", "output"), strict=True
        ):
            linear(spec, f"cross_attention/{name}")
        norm(layer.attention.layer_norm, "cross_attention")
    linear(layer.ffn.linear_0, "feed_forward/first")
    linear(layer.ffn.linear_1, "feed_forward/second")
    norm(layer.ffn.layer_norm, "feed_forward")


# The figures


def table(ways: dict[str, Timed], times: dict[str, list[float]]) -> list[report.Row]:
    """Prints the figures and returns them as rows."""
    rows = []
    for name, way in ways.items():
        row: report.Row = {"way": name, "beams": 1 if name == GREEDY else BEAMS}
        row |= {"sentences": way.sentences, "rounds": len(times[name])}
        row |= _columns("sentences_per_second", [1000 / ms for ms in times[name]])
        text = f"{name:24s}{row['sentences_per_second']:8.1f} sentences/s"
        for base in AGAINST.get(name, ()):
            if base not in times:
                continue
            found = _columns(f"times {base}", ratios(times[base], times[name]))
            middle, low, high = found.values()
            text += f"  {middle:.2f} ({low:.2f} to {high:.2f}) x {base}"
            row |= found
        print(text)
        rows.append(row)
    return rows


def _columns(name: str, values: list[float]) -> report.Row:
    return dict(zip((name, f"{name} p10", f"{name} p90"), spread(values), strict=True))


if __name__ == "__main__":
    start = time.perf_counter()
    main()
    print(f"{time.perf_counter() - start:.0f} s")
