import json
from collections import Counter
from typing import Any

import keras
import numpy as np
import pytest

from rdrop_tf.data.facts import difference
from rdrop_tf.text.batches import TokenBatches
from rdrop_tf.text.buckets import Bucket
from rdrop_tf.text.parallel_text import ParallelText
from rdrop_tf.text.subwords import Subwords
from tests.text.lengths import long_tailed
from tests.text.texts import corpus

PAIRS = 300


def rows() -> tuple[list[list[int]], list[list[int]]]:
    """Draws pairs that no two are alike of."""
    draws = np.random.default_rng(0)
    source, target = (
        [draws.integers(4, 1000, length).tolist() for length in side]
        for side in long_tailed(PAIRS, 0.2).clip(max=80)
    )
    source[7], target[8] = [], []
    return source, target


def make(**options: Any) -> TokenBatches:
    return TokenBatches(*rows(), **{"tokens": 300, "buckets": 5, **options})


def content(batches: TokenBatches) -> list[Any]:
    return [
        (x["source"].tolist(), x["target"].tolist(), y.tolist(), w.tolist())
        for x, y, w in (batches[i] for i in range(len(batches)))
    ]


def test_every_pair_once_with_its_special_ids() -> None:
    source, target = rows()
    expected = Counter((tuple(s), tuple(t)) for s, t in zip(source, target, strict=True))
    batches = make()
    found: Counter[Any] = Counter()
    for x, y, w in (batches[i] for i in range(len(batches))):
        assert {x["source"].dtype, x["target"].dtype, y.dtype} == {np.dtype(np.int32)}
        assert w.dtype == np.float32
        assert x["target"].shape == y.shape == w.shape
        assert Bucket(x["source"].shape[1], y.shape[1], len(y)) in batches.buckets
        for s, t, labels, weights in zip(x["source"], x["target"], y, w, strict=True):
            if not weights.any():
                assert not np.concatenate([s, t, labels]).any()
                continue
            s, labels = s[s != 0].tolist(), labels[labels != 0].tolist()
            assert s[-1] == labels[-1] == 2
            assert t[: len(labels)].tolist() == [1, *labels[:-1]]
            assert not t[len(labels) :].any()
            assert weights.tolist() == [1.0] * len(labels) + [0.0] * (len(t) - len(labels))
            found[tuple(s[:-1]), tuple(labels[:-1])] += 1
    assert found == expected


def test_order_is_a_function_of_seed_and_epoch() -> None:
    batches = make(seed=1)
    first = content(batches)
    assert content(batches) == first  # reading changes nothing
    batches.move_to(1)
    second = content(batches)
    assert batches.epoch == 1
    assert second != first
    assert content(make(seed=1, epoch=1)) == second
    assert content(make(seed=2)) != first
    batches.move_to(0)
    assert content(batches) == first


def test_to_any_batch_without_replay() -> None:
    batches = make(epoch=4)
    whole = content(batches)
    batches.move_to(5)
    batches.move_to(4, batch=9)
    assert len(batches) == len(whole) - 9
    assert content(batches) == whole[9:]
    with pytest.raises(IndexError):
        batches[len(batches)]
    batches.on_epoch_begin()
    content(batches)
    batches.on_epoch_end()
    assert content(batches) == content(make(epoch=5))


def test_only_an_epoch_that_was_read_ends() -> None:
    batches = make(epoch=4)
    batches.on_epoch_end()
    content(batches)
    batches.on_epoch_end()  # was not begun
    batches.on_epoch_begin()
    for i in range(1, len(batches)):
        batches[i]
    batches.on_epoch_end()
    batches[0]
    batches.on_epoch_end()
    assert batches.epoch == 4


def test_other_processes_cannot_make_them() -> None:
    with pytest.raises(ValueError, match=r"in this process.*Received: use_multiprocessing=True"):
        TokenBatches(*rows(), tokens=300, workers=2, use_multiprocessing=True)


def test_batches_count_that_workers_read_before_an_epoch_is_said_to_begin() -> None:
    batches = make(epoch=4)
    batches[0]
    batches.on_epoch_begin()
    for i in range(1, len(batches)):
        batches[i]
    batches.on_epoch_end()
    assert batches.epoch == 5


def test_padding_share() -> None:
    batches = make()
    cells = sum(x["source"].size + y.size for x, y, _ in (batches[i] for i in range(len(batches))))
    tokens = sum(len(row) + 1 for side in rows() for row in side)
    assert batches.fill(0).padding_share == pytest.approx(1 - tokens / cells, abs=1e-12)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("workers", [1, 2])
def test_fit_takes_one_epoch_after_the_other(workers: int, shuffle: bool) -> None:
    seen: list[Any] = []

    class Recorded(keras.Model):
        def train_step(self, *args: Any) -> Any:
            seen.append(np.asarray(args[-1][1]).tolist())  # the data come last on every backend
            return super().train_step(*args)

    batches = TokenBatches(*rows(), tokens=300, buckets=5, epoch=1, workers=workers)
    plain = small_model()
    model = Recorded(plain.input, plain.output)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.run_eagerly = True
    for _ in range(2):  # the second `fit` goes on, of a model that is built now
        model.fit(batches, epochs=1, shuffle=shuffle, verbose=0)
    assert batches.epoch == 3
    expected = [[batch[2] for batch in content(make(epoch=epoch))] for epoch in (1, 2)]
    steps = len(expected[0])
    assert len(seen) == 2 * steps
    found = [seen[:steps], seen[steps:]]
    if shuffle:
        assert [sorted(epoch) for epoch in found] == [sorted(epoch) for epoch in expected]
    else:
        assert found == expected


def small_model() -> keras.Model:
    source, target = (keras.Input((None,), dtype="int32", name=n) for n in ("source", "target"))
    mean = keras.ops.mean(keras.layers.Embedding(1000, 4)(source), axis=1, keepdims=True)
    hidden = keras.layers.Embedding(1000, 4)(target) + mean
    model = keras.Model({"source": source, "target": target}, keras.layers.Dense(1000)(hidden))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


@pytest.mark.tensorflow
def test_one_trace_for_all_shapes() -> None:
    model, batches, traces = small_model(), make(shuffle=False), []
    step = model.train_step

    def traced(data: Any) -> Any:
        traces.append(1)
        return step(data)

    model.train_step = traced
    model.fit(batches, epochs=2, shuffle=False, verbose=0)
    assert len({batch[1:] for batch in batches.plan}) > 2
    assert len(traces) <= len(batches.buckets)


@pytest.mark.tensorflow
def test_the_rest_of_an_epoch_as_a_dataset() -> None:
    batches = make()
    expected = content(batches)
    batches.move_to(0, batch=3)
    dataset = batches.tf_dataset()
    batches.move_to(1)
    found = [
        (x["source"].numpy().tolist(), x["target"].numpy().tolist(), y.numpy().tolist(), w)
        for x, y, w in dataset
    ]
    assert [row[:3] for row in found] == [row[:3] for row in expected[3:]]
    assert int(dataset.cardinality()) == len(expected) - 3
    small_model().fit(dataset, shuffle=False, verbose=0)


def text() -> ParallelText:
    lines = corpus()
    return ParallelText(lines, lines[::-1])


@pytest.fixture(scope="module")
def subwords() -> Subwords:
    pytest.importorskip("sentencepiece")
    return Subwords.train(corpus(), 350)


def decoded(batches: TokenBatches, subwords: Subwords) -> Counter[Any]:
    found: Counter[Any] = Counter()
    for x, y, _ in (batches[i] for i in range(len(batches))):
        found.update(zip(subwords.decode(x["source"]), subwords.decode(y), strict=True))
    del found["", ""]  # rows that fill up
    return found


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_batches_of_texts(subwords: Subwords, dropout: float) -> None:
    def make_of_text(epoch: int) -> TokenBatches:
        return TokenBatches.from_text(
            text(), subwords, subwords, tokens=200, dropout=dropout, seed=3, epoch=epoch, buckets=6
        )

    pairs = Counter(zip(text().source, text().target, strict=True))
    batches = make_of_text(0)
    plans = []
    for epoch in range(3):
        assert decoded(batches, subwords) == pairs
        assert content(batches) == content(make_of_text(epoch))
        assert {Bucket(*b[1:]) for b in batches.plan} <= set(batches.buckets)
        assert batches.buckets == make_of_text(epoch).buckets
        plans.append({tuple(row[row != 0]) for i in range(len(batches)) for row in batches[i][1]})
        batches.move_to(epoch + 1)
    if dropout:
        assert len(plans[0] & plans[1]) < 0.1 * len(plans[0])
    else:
        assert plans[0] == plans[1]


def test_what_becomes_too_long_keeps_its_plain_rows() -> None:
    source, target = [[5, 6], [7]] * 10, [[8], [9, 9]] * 10

    def redraw(epoch: int) -> Any:
        longer = 4 if epoch == 0 else 50
        return [[5] * 3, *source[1:]], [*target[:-1], [9] * longer]

    batches = TokenBatches(source, target, tokens=12, buckets=3, redraw=redraw)
    assert max(b.target_length for b in batches.buckets) == 5
    batches.move_to(1)
    labels = [r[r != 0].tolist() for i in range(len(batches)) for r in batches[i][1] if r.any()]
    assert sorted(labels) == sorted([*row, 2] for row in target)
    sources = [tuple(r[r != 0]) for i in range(len(batches)) for r in batches[i][0]["source"]]
    assert (5, 5, 5, 2) in sources  # the other pair is the drawn one
    # Also where the draw of epoch 0 itself is longer than a batch.
    assert TokenBatches(source, target, tokens=4, redraw=redraw).plan


@pytest.mark.parametrize(
    ("arguments", "text_"),
    [
        ({"source": [], "target": []}, "batches need at least one pair of texts; got none"),
        ({"source": [[5]]}, "both sides must have equally many texts; got 1 and 2"),
        ({"tokens": 3}, "got pair 1 of 4 source and 2 target tokens with tokens=3: raise it"),
        ({"tokens": 0}, "`tokens` must be at least 1. Received: tokens=0"),
        ({"buckets": 0}, "`buckets` must be a whole number >= 1"),
        ({"epoch": -1}, "`epoch` must be at least 0. Received: epoch=-1"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], text_: str) -> None:
    right = {"source": [[5], [5, 6, 7]], "target": [[5], [6]], "tokens": 8}
    with pytest.raises(ValueError, match=text_):
        TokenBatches(**{**right, **arguments})


def test_a_batch_that_there_is_not() -> None:
    batches = make()
    with pytest.raises(ValueError, match=f"below the {len(batches)} batches of epoch 0"):
        batches.move_to(0, batch=len(batches))


def test_facts_tell_other_texts_and_orders() -> None:
    facts = make(seed=1).facts()
    assert json.loads(json.dumps(facts)) == make(seed=1).facts() == facts
    assert difference(facts, make(seed=2).facts()) == "seed=2, which was 1"
    source, target = rows()
    source[-1] = [*source[-1][:-1], source[-1][-1] + 1]
    other = TokenBatches(source, target, tokens=facts["tokens"], seed=1).facts()
    assert facts["rows"] == other["rows"]
    assert facts["some pairs"][0] != other["some pairs"][0]
    assert facts["some pairs"][1] == other["some pairs"][1]
