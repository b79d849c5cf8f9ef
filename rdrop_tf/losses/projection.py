"""The linear map from hidden states to logits, and its products."""

from dataclasses import dataclass

import keras
from keras import ops

from rdrop_tf._typing import Tensor


@dataclass(frozen=True)
class Projection:
    """What turns hidden states into logits.

    Args:
        kernel: Shape (features, classes).
        bias: Shape (classes,), or None.
        transposed: Whether the kernel has the shape (classes, features) instead: that of an
            embedding whose matrix is used again.
        kernel_is_trained: Whether the kernel needs a gradient; False saves a third of the work.
    """

    kernel: Tensor
    bias: Tensor | None = None
    transposed: bool = False
    kernel_is_trained: bool = True

    @property
    def classes(self) -> int:
        """Returns the number of classes."""
        return int(self.kernel.shape[0 if self.transposed else 1])

    def logits(self, hidden: Tensor) -> Tensor:
        """Projects hidden states of shape (..., features), differentiably."""
        kernel = ops.transpose(self.kernel) if self.transposed else self.kernel
        logits = ops.matmul(hidden, kernel)
        return logits if self.bias is None else ops.add(logits, self.bias)


def project(rows: Tensor, kernel: Tensor, transposed: bool) -> Tensor:
    """Multiplies rows (n, features) by a kernel: (n, classes)."""
    return matmul(rows, kernel, transpose_b=transposed)


def to_rows(upstream: Tensor, kernel: Tensor, transposed: bool) -> Tensor:
    """Returns the gradient of `project` for its rows, of one for its result."""
    return matmul(upstream, kernel, transpose_b=not transposed)


def to_kernel(rows: Tensor, upstream: Tensor, transposed: bool) -> Tensor:
    """Returns the gradient of `project` for its kernel."""
    if transposed:
        return matmul(upstream, rows, transpose_a=True)
    return matmul(rows, upstream, transpose_a=True)


def matmul(a: Tensor, b: Tensor, *, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    """Multiplies matrices; a transposed one is read as it lies, never copied."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
    # The others turn a view, or fold the transposition into the product. Not `ops.matmul`, which
    # computes float64 in float32 on Torch.
    return (ops.transpose(a) if transpose_a else a) @ (ops.transpose(b) if transpose_b else b)
