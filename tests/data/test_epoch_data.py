"""Batches are a function of the epoch, and can be begun anywhere."""

import json
from typing import Any

import keras
import numpy as np
import pytest

from rdrop_tf.data import ArrayEpochs, DatasetEpochs, EpochData, epoch_data
from rdrop_tf.data.facts import difference

pytestmark = pytest.mark.one_backend


def rows(batches: Any) -> list[list[int]]:
    if isinstance(batches, keras.utils.PyDataset):
        batches = [batches[i] for i in range(len(batches))]
    return [np.asarray(batch[0]).reshape(-1).tolist() for batch in batches]


def test_an_order_follows_from_seed_and_epoch() -> None:
    x, y = np.arange(11), np.arange(11) * 10
    orders = {
        (seed, epoch): rows(ArrayEpochs((x, y), 4, seed).rest(epoch))
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    for (seed, epoch), order in orders.items():
        assert sorted(row for batch in order for row in batch) == list(range(11))
        assert [len(batch) for batch in order] == [4, 4, 3]
        again = ArrayEpochs((x, y), 4, seed)
        again.rest(7)
        assert rows(again.rest(epoch)) == order
        assert rows(again.rest(epoch, 2)) == order[2:]
    assert len({str(order) for order in orders.values()}) == 4


def test_all_arrays_move_together_and_none_stays() -> None:
    x = {"a": np.arange(6), "b": np.arange(6)[:, None] * 2}
    data = ArrayEpochs((x, np.arange(6) * 3, None), 4)
    features, labels, weight = data.rest(2)[0]
    np.testing.assert_array_equal(features["b"][:, 0], features["a"] * 2)
    np.testing.assert_array_equal(labels, features["a"] * 3)
    assert weight is None


def test_without_shuffling_rows_stay_in_order() -> None:
    data = ArrayEpochs((np.arange(5),), 2, shuffle=False)
    assert rows(data.rest(4)) == [[0, 1], [2, 3], [4]]


def test_arrays_of_different_length() -> None:
    with pytest.raises(ValueError, match=r"same number of rows. Received: \[3, 4\] rows"):
        ArrayEpochs((np.arange(3), np.arange(4)), 2)


def test_what_is_by_epochs_already_is_left_alone() -> None:
    data = ArrayEpochs((np.arange(3),), 2)
    assert epoch_data(data) is data


@pytest.mark.parametrize(
    "data", [iter([np.zeros(2)]), ArrayEpochs((np.arange(3),), 2).rest(0)], ids=["iterator", "set"]
)
def test_data_without_a_place_to_go_back_to(data: Any) -> None:
    with pytest.raises(ValueError, match=r"must give the batches of an epoch by its number"):
        epoch_data(data)


def numbers(count: int = 6) -> Any:
    import tensorflow as tf

    return tf.data.Dataset.range(count).map(lambda i: (i,))


def test_a_data_set_in_a_fixed_order() -> None:
    data = epoch_data(numbers().shuffle(6, seed=1, reshuffle_each_iteration=False).batch(2))
    assert isinstance(data, EpochData)
    assert data.batches(0) == 3
    assert rows(data.rest(0)) == rows(data.rest(1))
    assert rows(data.rest(5, 1)) == rows(data.rest(0))[1:]


def test_a_data_set_an_epoch() -> None:
    data = DatasetEpochs(lambda epoch: numbers().shuffle(6, seed=epoch).batch(2))
    assert rows(data.rest(3)) == rows(data.rest(3))
    assert rows(data.rest(3)) != rows(data.rest(4))


@pytest.mark.parametrize("where", ["outside", "inside"])
def test_a_data_set_that_shuffles_anew_is_refused(where: str) -> None:
    shuffled = numbers().shuffle(6, seed=1)
    if where == "inside":
        import tensorflow as tf

        shuffled = tf.data.Dataset.range(2).flat_map(
            lambda i: tf.data.Dataset.range(3).shuffle(3, seed=1)
        )
    with pytest.raises(ValueError, match=r"no place to go back to: pass\s+DatasetEpochs\(lambda"):
        epoch_data(shuffled.batch(2))


@pytest.mark.parametrize(("how", "word"), [("filter", "unknown"), ("repeat", "endless")])
def test_a_data_set_of_unknown_length_is_refused(how: str, word: str) -> None:
    data = numbers().filter(lambda i: i < 4) if how == "filter" else numbers().repeat()
    with pytest.raises(ValueError, match=rf"assert_cardinality\(BATCHES\)\). .* of {word} length"):
        epoch_data(data.batch(2)).batches(0)


def test_facts_tell_other_rows_however_many_there_are() -> None:
    x, y = np.random.default_rng(0).normal(size=(500, 4)), np.arange(500) % 7
    whole = ArrayEpochs((x, y), 4).facts()
    assert json.loads(json.dumps(whole)) == whole
    assert difference(whole, ArrayEpochs((x * (1 + 1e-9), y), 4).facts()) is None, "rounded apart"
    for changed in ((x + 0.1, y), (x, y[::-1])):
        assert difference(whole, ArrayEpochs(changed, 4).facts()) == "other values in the rows"
    for changed, text in (((x[:-1], y[:-1]), "rows=499"), ((x[:, :3], y), "form=")):
        assert str(difference(whole, ArrayEpochs(changed, 4).facts())).startswith(text)
    assert ArrayEpochs((x, y), 4, seed=1, shuffle=False).facts()["seed"] is None


def test_numbers_in_arrays_of_objects_are_numbers() -> None:
    (rows,) = ArrayEpochs((np.array([[1, 2.5], [3, 4]], object),), 2, shuffle=False).rest(0)[0]
    assert rows.dtype == np.float64
    with pytest.raises(ValueError, match=r"numbers or texts, in rows of one .*ndarray with"):
        ArrayEpochs((np.array([[1], [2, 3]], object),), 2)


@pytest.mark.tensorflow
def test_texts_of_any_kind_and_ragged_rows() -> None:
    import tensorflow as tf

    texts = np.array(["b", "aü", ""])
    for given in (texts, texts.astype(object), tf.constant(texts)):
        (rows,) = ArrayEpochs((given,), 3, shuffle=False).rest(0)[0]
        assert [text.decode() for text in rows.numpy()] == texts.tolist()
    with pytest.raises(ValueError, match=r"pad them, .*Received: RaggedTensor with"):
        ArrayEpochs((tf.ragged.constant([[1], [2, 3]]),), 2)
