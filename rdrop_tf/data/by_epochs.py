"""What `fit` takes, as data by epochs."""

from typing import Any

import keras

from rdrop_tf.data.array_epochs import ArrayEpochs
from rdrop_tf.data.dataset_epochs import DatasetEpochs
from rdrop_tf.data.epoch_data import EpochData


def epoch_data(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    seed: int = 0,
    shuffle: bool = True,
) -> EpochData:
    """Turns what `fit` takes into data that training can begin anywhere in.

    Args:
        x: Inputs, or a data set.
        y: Labels, where `x` does not hold them.
        sample_weight: Weights of the rows.
        batch_size: Rows a batch of arrays, 32 by default.
        seed: Of the order of arrays.
        shuffle: Whether arrays are shuffled.

    Returns:
        The data by epochs.

    Raises:
        ValueError: If their order is no function of the epoch.
    """
    if isinstance(x, EpochData):
        return x
    if hasattr(x, "cardinality"):
        return DatasetEpochs(x)
    if isinstance(x, keras.utils.PyDataset) or hasattr(x, "__next__"):
        raise ValueError(
            "data that training goes back to must give the batches of an epoch by its number: "
            "arrays, a tf.data.Dataset, or an `EpochData`. "
            f"Received: {type(x).__name__}; make it a subclass of `rdrop_tf.data.EpochData`"
        )
    parts = (x, y) if sample_weight is None else (x, y, sample_weight)
    return ArrayEpochs(parts if y is not None else (x,), batch_size or 32, seed, shuffle)
