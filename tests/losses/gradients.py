"""Gradients by whatever the backend differentiates with, and by differences in NumPy."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops


def value_and_gradients(
    function: Callable[..., Any], *arrays: np.ndarray
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Differentiates the sum of what a function returns with respect to all its arguments."""
    backend = keras.backend.backend()
    differentiate = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[backend]
    value, gradients = differentiate(function, arrays)
    return to_numpy(value), [to_numpy(gradient) for gradient in gradients]


def to_numpy(x: Any) -> np.ndarray:
    """Converts a tensor, half precision to float32: NumPy has no bfloat16."""
    half = keras.backend.standardize_dtype(x.dtype) in ("float16", "bfloat16")
    return ops.convert_to_numpy(ops.cast(x, "float32") if half else x)


def gradients(function: Callable[..., Any], *arrays: np.ndarray) -> list[np.ndarray]:
    """Returns the gradients alone."""
    return value_and_gradients(function, *arrays)[1]


def central_differences(
    function: Callable[..., Any], *arrays: np.ndarray, step: float = 1e-5
) -> list[np.ndarray]:
    """Differentiates the sum of what a NumPy function returns, entry by entry."""
    found = []
    for array in arrays:
        gradient = np.zeros_like(array)
        for index in np.ndindex(*array.shape):
            before = array[index]
            array[index] = before + step
            above = np.sum(function(*arrays))
            array[index] = before - step
            below = np.sum(function(*arrays))
            array[index] = before
            gradient[index] = (above - below) / (2 * step)
        found.append(gradient)
    return found


def _tensorflow(function: Callable[..., Any], arrays: tuple[np.ndarray, ...]) -> tuple[Any, Any]:
    import tensorflow as tf

    tensors = [tf.constant(array) for array in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = tf.reduce_sum(function(*tensors))
    return value, tape.gradient(value, tensors, unconnected_gradients="zero")


def _jax(function: Callable[..., Any], arrays: tuple[np.ndarray, ...]) -> tuple[Any, Any]:
    import jax

    tensors = [jax.numpy.asarray(array) for array in arrays]
    places = tuple(range(len(arrays)))
    return jax.value_and_grad(lambda *xs: ops.sum(function(*xs)), places)(*tensors)


def _torch(function: Callable[..., Any], arrays: tuple[np.ndarray, ...]) -> tuple[Any, Any]:
    import torch

    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    value = function(*tensors).sum()
    found = torch.autograd.grad(value, tensors, allow_unused=True)
    pairs = zip(found, tensors, strict=True)
    return value.detach(), [torch.zeros_like(x) if g is None else g for g, x in pairs]
