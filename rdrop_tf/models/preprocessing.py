"""Batches for a wrapped KerasHub task, which maps its preprocessor over what it is given."""

from typing import Any

import keras
import numpy as np
from keras import ops

from rdrop_tf._typing import Nested
from rdrop_tf.data import EpochData, epoch_data


def preprocesses(model: keras.Model) -> bool:
    """Whether a model, as KerasHub tasks do, turns raw samples into its inputs itself."""
    return hasattr(model, "preprocess_samples") and getattr(model, "preprocessor", None) is not None


def preprocessed(
    model: keras.Model,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    shuffle: bool = False,
) -> Any:
    """Returns a data set of the model's inputs from raw samples.

    Args:
        model: A model that `preprocesses`.
        x: Raw samples: lists of strings, arrays, dicts or tuples of these, or a
            `tf.data.Dataset` of batches.
        y: Labels, None for a data set.
        sample_weight: Weights, None for a data set.
        batch_size: Samples a batch, 32 by default.
        shuffle: Whether to shuffle the samples before each epoch. A data set keeps its order.
    """
    if isinstance(x, keras.utils.PyDataset):
        has_hook = type(x).on_epoch_end is not keras.utils.PyDataset.on_epoch_end
        return (_FollowedDataset if has_hook else _MappedDataset)(model, x)
    if hasattr(x, "map") and hasattr(x, "element_spec"):
        return x.map(model.preprocess_samples)
    if hasattr(x, "__next__"):
        raise ValueError(
            f"The preprocessor of '{model.name}' needs batches that can be read again for each "
            "epoch: lists, arrays, a tf.data.Dataset or a keras.utils.PyDataset. "
            f"Received: x of type {type(x).__name__}"
        )
    return _RawBatches(model, (x, y, sample_weight), batch_size or 32, shuffle)


def preprocessed_for_fit(
    model: keras.Model, x: Any, y: Any, options: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Turns raw samples into data sets, for the arguments of `fit`.

    Returns:
        The data, and the other arguments without those that it has used up.
    """
    options = dict(options)
    size = options.pop("batch_size", None)
    if options.get("validation_split"):
        raise ValueError(
            "`validation_split` cannot cut raw samples of a task; pass `validation_data`. "
            f"Received: validation_split={options['validation_split']}"
        )
    # Shuffled sample by sample here; Keras would shuffle whole batches, or warn.
    shuffle = bool(options.get("shuffle", True))
    options["shuffle"] = False
    weight = options.pop("sample_weight", None)
    data = preprocessed(model, x, y, weight, batch_size=size, shuffle=shuffle)
    validation = options.get("validation_data")
    if validation is not None:
        parts = validation if isinstance(validation, tuple) else (validation,)
        options["validation_data"] = preprocessed(model, *parts, batch_size=size)
    return data, options


def data_by_epoch(
    model: keras.Model, x: Any, y: Any, options: dict[str, Any], seed: int
) -> tuple[EpochData, dict[str, Any]]:
    """Turns the data of `fit` into data by epochs; raw samples of a task are preprocessed.

    Returns:
        The data, and the other arguments without those that it has used up.

    Raises:
        ValueError: If the order is no function of the epoch, or an argument has no meaning then.
    """
    options = dict(options)
    for name in ("validation_split", "steps_per_epoch"):
        if options.get(name):
            raise ValueError(
                f"`{name}` cannot be used where training goes back to a place in the data: pass "
                f"`validation_data`, and all batches of an epoch. Received: {name}={options[name]}"
            )
    weight, size = options.pop("sample_weight", None), options.pop("batch_size", None)
    shuffle = bool(options.pop("shuffle", True))
    is_raw = preprocesses(model)
    if is_raw and y is not None:
        x, y, weight = (_map_arrays(part) for part in (x, y, weight))
    data = epoch_data(x, y, weight, batch_size=size, seed=seed, shuffle=shuffle)
    if not is_raw:
        return data, options
    validation = options.get("validation_data")
    if validation is not None:
        parts = validation if isinstance(validation, tuple) else (validation,)
        options["validation_data"] = preprocessed(model, *parts, batch_size=size)
    return _PreprocessedEpochs(model, data), options


class _PreprocessedEpochs(EpochData):
    """Raw samples of a task by epochs, preprocessed batch by batch."""

    def __init__(self, model: keras.Model, data: EpochData) -> None:
        self._model, self._data = model, data

    def batches(self, epoch: int) -> int:
        return self._data.batches(epoch)

    def facts(self) -> dict[str, Any]:
        return self._data.facts()

    def rest(self, epoch: int, batch: int = 0) -> Any:
        return preprocessed(self._model, self._data.rest(epoch, batch))


class _RawBatches(keras.utils.PyDataset):
    """Slices of arrays in memory, preprocessed batch by batch."""

    def __init__(
        self, model: keras.Model, data: tuple[Any, Any, Any], batch_size: int, shuffle: bool
    ) -> None:
        super().__init__()
        self._model, self._batch_size, self._shuffle = model, batch_size, shuffle
        self._data = tuple(_map_arrays(part) for part in data)
        self._rows = _count_rows(self._data)
        # Of the global generator, so that `keras.utils.set_random_seed` settles the order.
        self._order = np.arange(self._rows)
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-self._rows // self._batch_size)

    def __getitem__(self, index: int) -> Nested:
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        batch = [_take(part, rows) for part in self._data]
        return _to_numpy(self._model.preprocess_samples(*batch))

    def on_epoch_end(self) -> None:
        if self._shuffle:
            np.random.shuffle(self._order)


class _MappedDataset(keras.utils.PyDataset):
    """The batches of another data set, preprocessed."""

    def __init__(self, model: keras.Model, source: keras.utils.PyDataset) -> None:
        super().__init__()
        self._model, self._source = model, source

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Nested:
        batch = keras.tree.map_structure(_listed, self._source[index])
        batch = keras.utils.unpack_x_y_sample_weight(batch)
        return _to_numpy(self._model.preprocess_samples(*batch))


class _FollowedDataset(_MappedDataset):
    """The same of a data set that does something between epochs."""

    def on_epoch_end(self) -> None:
        self._source.on_epoch_end()


def _map_arrays(part: Any) -> Any:
    """Turns leaves into arrays; a list is one leaf, as in `tf.data`."""
    if part is None:
        return None
    if isinstance(part, tuple):
        return tuple(_map_arrays(one) for one in part)
    if isinstance(part, dict):
        return {name: _map_arrays(one) for name, one in part.items()}
    array = np.asarray(part)
    return array.astype(object) if array.dtype.kind in "US" else array


def _take(part: Any, rows: np.ndarray) -> Any:
    if part is None:
        return None
    if isinstance(part, tuple):
        return tuple(_take(one, rows) for one in part)
    if isinstance(part, dict):
        return {name: _take(one, rows) for name, one in part.items()}
    return _listed(part[rows])


def _listed(leaf: Any) -> Any:
    """Turns an array of strings into the list that preprocessors take."""
    is_of_strings = isinstance(leaf, np.ndarray) and leaf.dtype == object
    return leaf.tolist() if is_of_strings else leaf


def _count_rows(data: tuple[Any, ...]) -> int:
    counts = {len(leaf) for leaf in keras.tree.flatten(data) if leaf is not None}
    if len(counts) != 1:
        raise ValueError(
            "`x`, `y` and `sample_weight` must have the same number of samples. "
            f"Received: {sorted(counts)} samples"
        )
    return counts.pop()


def _to_numpy(batch: Nested) -> Nested:
    """Keras' data adapters take arrays; preprocessors return tensors of any framework."""

    def convert(leaf: Any) -> Any:
        if leaf is None or isinstance(leaf, np.ndarray):
            return leaf
        return leaf.numpy() if hasattr(leaf, "numpy") else ops.convert_to_numpy(leaf)

    return tuple(keras.tree.map_structure(convert, part) for part in _as_tuple(batch))


def _as_tuple(batch: Any) -> tuple[Any, ...]:
    if isinstance(batch, tuple):
        return batch
    return (batch,)
