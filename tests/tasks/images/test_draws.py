import keras
import numpy as np
import pytest

from rdrop_tf.tasks.images.draws import Draws


def _seeds(draws: Draws, count: int = 4) -> list[tuple[int, ...]]:
    return [tuple(keras.ops.convert_to_numpy(draws.next()).tolist()) for _ in range(count)]


def test_seeds_hang_on_seed_and_batch_alone() -> None:
    first = _seeds(Draws(3, 8))
    keras.random.uniform((2,))
    assert _seeds(Draws(3, 8)) == first


def test_all_seeds_differ() -> None:
    seeds = [seed for s in range(5) for b in range(5) for seed in _seeds(Draws(s, b))]
    assert len(set(seeds)) == len(seeds) == 100


def test_batches_are_numbered_beyond_32_bits() -> None:
    assert _seeds(Draws(0, 2**40)) != _seeds(Draws(0, 2**41))


def test_draws_are_uniform_over_batches() -> None:
    values = [float(keras.random.uniform((), seed=Draws(0, batch))) for batch in range(500)]
    np.testing.assert_allclose(np.quantile(values, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.06)
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.15


def test_seeds_of_a_graph_follow_the_batchs_number_too() -> None:
    tf = pytest.importorskip("tensorflow", reason="needs TensorFlow")
    numbers = tf.data.Dataset.from_tensor_slices(np.array([5, 6, 2**40], np.int64))
    seeds = numbers.map(lambda number: tf.stack([Draws(1, number, in_graph=True).next()] * 2))
    rows = [row[0].tolist() for row in seeds.as_numpy_iterator()]
    assert len({tuple(row) for row in rows}) == 3
    assert rows == [row[0].tolist() for row in seeds.as_numpy_iterator()]
