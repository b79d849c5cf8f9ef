"""What each of two processes does: python -m tests.distribute.worker FOLDER."""

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks import exactness_cases as cases
from rdrop_tf import RDropModel
from rdrop_tf.data import NumberedEpochs
from rdrop_tf.training import TrainingStrategy, make_strategy
from tests.models import zoo

LOSS = keras.losses.SparseCategoricalCrossentropy


class Tap(keras.layers.Dropout):
    """Dropout that keeps its masks."""

    def __init__(self) -> None:
        super().__init__(0.5, seed=3)
        self.masks: list[np.ndarray] = []

    def call(self, inputs: Any, training: bool = False) -> Any:
        outputs = super().call(inputs, training=training)
        if training:
            keep = lambda mask: self.masks.append(mask)  # noqa: E731
            tf.numpy_function(keep, [outputs > 0], [])
        return outputs


def trained(data: Any, scope: Any, **options: Any) -> tuple[RDropModel, dict[str, Any]]:
    """Trains the model of tokens for an epoch."""
    keras.utils.set_random_seed(5)
    with scope:
        rdrop = RDropModel(cases.token_model(), alpha=3.0, forward="two_calls")
        rdrop.compile(cases.sgd(momentum=0.9)(), LOSS(from_logits=True), metrics=["accuracy"])
    return rdrop, rdrop.fit(*data, verbose=0, **options).history


def fit_evaluate_predict(strategy: TrainingStrategy, folder: Path) -> dict[str, Any]:
    ids, labels = cases.unequal_tokens(cases.ROWS - cases.BATCH + 1)
    options = {"batch_size": cases.BATCH, "shuffle": False}
    rdrop, logs = trained((ids, labels), strategy.scope(), **options)
    found = rdrop.evaluate(ids, labels, batch_size=cases.BATCH, verbose=0, return_dict=True)
    # All are given the same path in practice; a path of its own shows who writes.
    rdrop.save(folder / f"model-{strategy.worker}.keras")
    rdrop.save_weights(folder / f"model-{strategy.worker}.weights.h5")
    return {
        "weights": [w.tolist() for w in rdrop.get_weights()],
        "logs": logs,
        "evaluated": found,
        "predicted": rdrop.predict(ids, batch_size=cases.BATCH, verbose=0).tolist(),
    }


def shuffled(strategy: TrainingStrategy, folder: Path) -> dict[str, Any]:
    """Arrays are shuffled alike, whatever each process' own generators say."""
    np.random.seed(strategy.worker)
    rdrop, logs = trained(cases.unequal_tokens(), strategy.scope(), batch_size=9, epochs=2)
    return {"weights": [w.tolist() for w in rdrop.get_weights()], "logs": logs}


def numbered(read: list[int]) -> NumberedEpochs:
    """The rows of tokens by number, and a list of those that were read."""
    columns = [tf.constant(column) for column in cases.unequal_tokens(31)]

    def note(numbers: Any) -> Any:
        read.extend(numbers.tolist())
        return numbers

    def read_rows(numbers: Any) -> Any:
        noted = tf.ensure_shape(tf.numpy_function(note, [numbers], tf.int64), [None])
        return tuple(tf.gather(column, noted) for column in columns)

    return NumberedEpochs(31, read_rows, batch_size=9, seed=2)


def own_rows(strategy: TrainingStrategy, folder: Path) -> dict[str, Any]:
    """Rows that are read by their number: each worker reads its own."""
    read: list[int] = []
    # The first epoch also reads a batch to build the model by.
    forget = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epoch or read.clear())
    rdrop, logs = trained((numbered(read),), strategy.scope(), epochs=2, callbacks=[forget])
    return {"weights": [w.tolist() for w in rdrop.get_weights()], "logs": logs, "read": read}


def uneven_shards(strategy: TrainingStrategy, folder: Path) -> dict[str, Any]:
    """The chief's part of the data has three batches, that of the other worker one."""
    ids, labels = cases.unequal_tokens(16)

    def shard(context: tf.distribute.InputContext) -> tf.data.Dataset:
        rows = slice(0, 12) if context.input_pipeline_id == 0 else slice(12, 16)
        return tf.data.Dataset.from_tensor_slices((ids[rows], labels[rows])).batch(4)

    data = strategy.inner.distribute_datasets_from_function(shard)
    rdrop, logs = trained((data,), strategy.scope(), shuffle=False)
    return {"weights": [w.tolist() for w in rdrop.get_weights()], "logs": logs}


def masks(strategy: TrainingStrategy, folder: Path) -> dict[str, Any]:
    with strategy.scope():
        tap = Tap()
        model = keras.Sequential([keras.Input((200,)), tap, keras.layers.Dense(2)])
        rdrop = RDropModel(model, forward="two_calls")
        rdrop.compile("sgd", LOSS(from_logits=True))
    tap.masks.clear()
    rdrop.fit(np.ones((8, 200), "float32"), np.zeros(8), batch_size=4, verbose=0)
    return {"masks": [mask.astype(int).tolist() for mask in tap.masks]}


def overflow(strategy: TrainingStrategy, folder: Path) -> dict[str, Any]:
    """The rows of the second worker overflow in float16."""
    with strategy.scope():
        keras.utils.set_random_seed(1)
        rdrop = RDropModel(zoo.half(0.1))
        rdrop.compile(keras.optimizers.SGD(0.1), LOSS(from_logits=True))
    x, y = (a[:8] for a in zoo.features())
    before = rdrop.get_weights()
    x[4:] = np.inf
    rdrop.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    same = [np.array_equal(a, b) for a, b in zip(before, rdrop.get_weights(), strict=True)]
    return {"same": all(same), "scale": float(rdrop.optimizer.dynamic_scale.numpy())}


def refusals(strategy: TrainingStrategy, folder: Path) -> dict[str, Any]:
    ids, labels = cases.unequal_tokens()
    rows = tf.data.Dataset.from_tensor_slices((ids, labels))
    said = {}
    for name, data, options in (
        ("no seed", rows.shuffle(9).batch(9), {"shuffle": False}),
        ("PyDataset", Batches(), {}),
    ):
        try:
            trained((data,), strategy.scope(), **options)
        except ValueError as error:
            said[name] = str(error)
    trained((rows.shuffle(9, seed=1).batch(9),), strategy.scope(), shuffle=False)
    return said


class Batches(keras.utils.PyDataset):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Any:
        return cases.unequal_tokens(9)


# What is refused comes first: a shuffle without a seed has none as long as the process has none.
SCENES = (refusals, fit_evaluate_predict, shuffled, own_rows, uneven_shards, masks, overflow)


def main() -> None:
    folder = Path(sys.argv[1])
    strategy = make_strategy("multiworker")
    found = {scene.__name__: scene(strategy, folder) for scene in SCENES}
    (folder / f"{strategy.worker}.json").write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main()
