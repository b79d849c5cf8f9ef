"""Pipelines of `tf.data` that end when they are told to."""

from typing import Any


def untuned(dataset: Any) -> Any:
    """Turns off the tuning of a pipeline, where its maker says nothing of it.

    TensorFlow waits for the thread that tunes when an iterator goes, and may lose the signal that
    wakes it (seen with 2.21): then it stands still for as long as it has run, up to a minute. A
    training by epochs has an iterator an epoch. Without tuning `AUTOTUNE` means a call for
    each processor, at most 16, and a buffer that grows when it was found empty.

    Args:
        dataset: A `tf.data.Dataset`; anything else comes back as it is.

    Returns:
        The same rows.

    Example:
    >>> import tensorflow as tf
    >>> rows = untuned(tf.data.Dataset.range(3).prefetch(tf.data.AUTOTUNE))
    >>> rows.options().autotune.enabled
    False
    """
    if not hasattr(dataset, "with_options"):
        return dataset
    import tensorflow as tf

    if dataset.options().autotune != tf.data.experimental.AutotuneOptions():
        return dataset
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
