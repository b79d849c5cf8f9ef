"""Small random models whose every output can be listed, and the definitions in plain Python."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

PAD, START, END, FIRST = 0, 1, 2, 3
Prefix = tuple[int, ...]


class Tables:
    """Models by number whose logits depend on everything before: one row for each beginning.

    A source is (number + 1, ...). Beginnings are numbered as the nodes of a tree: 0 the empty one,
    and `node · tokens + i + 1` the one that continues a node by token i.

    Args:
        tables: float32 (models, nodes, classes).
    """

    def __init__(self, tables: NDArray[np.float32]) -> None:
        self.tables = tables
        self.tokens = tables.shape[2] - FIRST
        self.starts = 0

    def start(self, source: Any, length: int) -> tuple[Any, Any]:
        self.starts += 1
        first = source[:, 0] - 1
        return {"model": first}, {"node": ops.zeros_like(first)}

    def step(self, tokens: Any, position: Any, constant: Any, cache: Any) -> tuple[Any, Any]:
        models, nodes, classes = self.tables.shape
        child = cache["node"] * self.tokens + tokens - FIRST + 1
        # Sentences that have stopped are given anything.
        node = ops.clip(ops.where(ops.equal(position, 0), 0, child), 0, nodes - 1)
        flat = ops.convert_to_tensor(self.tables.reshape(models * nodes, classes))
        logits = ops.take(flat, constant["model"] * nodes + node, axis=0)
        return logits, {"node": ops.cast(node, "int32")}

    def sources(self) -> NDArray[np.int32]:
        return np.arange(1, len(self.tables) + 1, dtype="int32")[:, None]

    def log_probabilities(self) -> NDArray[np.float64]:
        logits = self.tables.astype("float64")
        return logits - np.logaddexp.reduce(logits, axis=2, keepdims=True)

    def node(self, prefix: Prefix) -> int:
        node = 0
        for token in prefix:
            node = node * self.tokens + token - FIRST + 1
        return node


def random_tables(models: int, tokens: int, length: int, seed: int, scale: float = 2.0) -> Tables:
    """Makes models for beginnings of up to `length` tokens."""
    nodes = sum(tokens**n for n in range(length + 1))
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=scale, size=(models, nodes, FIRST + tokens))
    return Tables(logits.astype("float32"))


class Definition(NamedTuple):
    """The arguments of a search."""

    length_penalty: float = 1.0
    min_length: int = 0
    max_length: int = 3
    no_repeat_ngram: int = 0

    def options(self) -> dict[str, Any]:
        return self._asdict()


def repeats(prefix: Prefix, size: int) -> bool:
    grams = [prefix[i : i + size] for i in range(len(prefix) - size + 1)]
    return size > 0 and len(set(grams)) < len(grams)


def every_output(tokens: int, definition: Definition) -> Iterator[Prefix]:
    """Lists all outputs without their end token."""
    for n in range(definition.min_length, definition.max_length + 1):
        for prefix in product(range(FIRST, FIRST + tokens), repeat=n):
            if not repeats(prefix, definition.no_repeat_ngram):
                yield prefix


def exhaustive(
    decoder: Tables, definition: Definition, n_best: int
) -> list[list[tuple[float, Prefix]]]:
    """Finds the best outputs of each model among all there are."""
    outputs = list(every_output(decoder.tokens, definition))
    table = decoder.log_probabilities()
    scores = np.empty((len(table), len(outputs)))
    for place, output in enumerate(outputs):
        total = np.zeros(len(table))
        for i, token in enumerate((*output, END)):
            total += table[:, decoder.node(output[:i]), token]
        scores[:, place] = total / (len(output) + 1) ** definition.length_penalty
    order = np.argsort(-scores, axis=1, kind="stable")[:, :n_best]
    return [
        [(row[place], (*outputs[place], END)) for place in places]
        for row, places in zip(scores, order, strict=True)
    ]


def plain_beam_search(
    log_probabilities: Callable[[Prefix], NDArray[np.float64]],
    definition: Definition,
    beams: int,
    n_best: int,
    early_stopping: bool,
) -> list[tuple[float, Prefix]]:
    """The definition for one sentence, without any bound on what may still come."""
    live: list[tuple[float, Prefix]] = [(0.0, ())]
    ended: list[tuple[float, Prefix]] = []
    for position in range(definition.max_length + 1):
        found = []
        for beam, (total, prefix) in enumerate(live):
            for token, value in enumerate(log_probabilities(prefix)):
                if may_follow(prefix, token, definition):
                    found.append((-(total + value), beam, token))
        candidates = sorted(found)[: 2 * beams]
        following = []
        for rank, (cost, beam, token) in enumerate(candidates):
            output = (*live[beam][1], token)
            if token != END:
                following.append((-cost, output))
            elif rank < beams:
                ended.append((-cost / (position + 1) ** definition.length_penalty, output))
        ended = sorted(ended, key=lambda item: -item[0])[:beams]
        live = following[:beams]
        if early_stopping and len(ended) == beams:
            break
    return ended[:n_best]


def by_source_length(decoder: Tables, most: int) -> Iterator[tuple[int, Tables, NDArray[np.int32]]]:
    """Gives the models sources of 1 to `most` tokens, in equal parts.

    Yields:
        The tokens of a source, the models that have such, and their sources.
    """
    each = len(decoder.tables) // most
    for n in range(1, most + 1):
        places = slice((n - 1) * each, n * each)
        sources = np.zeros((each, most), "int32")
        sources[:, :n] = decoder.sources()[places]
        yield n, Tables(decoder.tables[places]), sources


def may_follow(prefix: Prefix, token: int, definition: Definition) -> bool:
    if len(prefix) == definition.max_length:
        return token == END
    if token == END:
        return len(prefix) >= definition.min_length
    return token >= FIRST and not repeats((*prefix, token), definition.no_repeat_ngram)


def assert_found(found: Any, expected: list[list[tuple[float, Prefix]]]) -> None:
    """Compares tokens exactly and scores to 1e-5, and what is not there with padding."""
    tokens, scores, lengths = (np.asarray(ops.convert_to_numpy(x)) for x in found)
    assert len(tokens) == len(expected)
    for i, outputs in enumerate(expected):
        for j in range(tokens.shape[1]):
            score, output = outputs[j] if j < len(outputs) else (-np.inf, ())
            padding = (PAD,) * (tokens.shape[2] - len(output))
            assert tuple(tokens[i, j]) == (*output, *padding), (i, j)
            assert lengths[i, j] == len(output)
            np.testing.assert_allclose(scores[i, j], score, atol=1e-5)
