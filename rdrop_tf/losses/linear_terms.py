"""Projection, cross-entropy and divergence of a vocabulary head, chunk by chunk.

For rows n with weights w, hidden states h of each pass i of P, logits z = h W + b and
p = softmax(z):

    total = Σ_n w ( a Σ_i CE_i + c D )                   a, c: the factors of both terms
    CE_i  = lse(z_i) - (1-ε) z_i[y] - ε mean(z_i)        ε: label smoothing
    D     = 1/(P-1) Σ_i Σ_v (p_i - p̄) (z_i - z̄)          the mean over all pairs of ½(KL + KL)

with bars for means over the passes: the log-sum-exps cancel, as Σ_v (p_i - p̄) = 0, and so does
the bias. The gradient for the logits needs nothing that the loss has not computed,

    ∂total/∂z_i = w ( a (p_i - t) + c/(P-1) ( p_i (u_i - Σ_v p_i u_i) + p_i - p̄ ) ),  u_i = z_i - z̄

so each chunk of rows goes from hidden states to gradients at once, and its logits are gone before
the next chunk's are made: three matrix products, as in plain cross-entropy.
"""

import math
from dataclasses import dataclass

import keras
from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.losses.agreement import agreement
from rdrop_tf.losses.arithmetic import mean
from rdrop_tf.losses.chunk_size import chunk_size as choose_chunk_size
from rdrop_tf.losses.differences import last_argument
from rdrop_tf.losses.precision import dtype_of, working_dtype
from rdrop_tf.losses.projection import Projection, project, to_kernel, to_rows
from rdrop_tf.losses.scan import Tensors, scan

# Numbers of a kernel from which on memory counts for more than time.
_LARGE_KERNEL = 2**24


@dataclass(frozen=True)
class LinearTerms:
    """Sums over rows, by weight.

    Attributes:
        total: Both terms by their factors; the only one with a gradient.
        task: The cross-entropy of each pass, shape (passes,).
        divergence: The divergence, None for a single pass.
    """

    total: Tensor
    task: Tensor
    divergence: Tensor | None


def linear_terms(
    hidden: Tensor,
    projection: Projection,
    labels: Tensor,
    weights: Tensor | None,
    *,
    task_factor: Tensor | float,
    divergence_factor: Tensor | float,
    label_smoothing: float = 0.0,
    chunk_size: int | None = None,
) -> LinearTerms:
    """Computes the sums of a vocabulary head without holding the logits of all rows.

    Args:
        hidden: Hidden states, shape (passes, rows, features).
        projection: The head.
        labels: Classes, shape (rows,), all of them valid where the weight is not 0.
        weights: One weight a row, None for 1. Rows of weight 0 add nothing, whatever they hold.
        task_factor: a; no gradient flows into it.
        divergence_factor: c; the same.
        label_smoothing: ε.
        chunk_size: Rows of each pass at a time; None chooses.

    Returns:
        The sums, in float32 (float64 for float64).
    """
    passes, classes = int(hidden.shape[0]), projection.classes
    dtype = working_dtype(hidden, projection.kernel)
    size = chunk_size or choose_chunk_size(
        passes, classes, hidden.shape[1], 8 if dtype == "float64" else 4
    )
    rows, features = ops.shape(labels)[0], hidden.shape[2]
    if weights is None:
        weights = ops.ones((rows,), dtype)
    weights = ops.cast(weights, dtype)
    counted = ops.not_equal(weights, 0)
    labels = ops.where(counted, ops.cast(labels, "int32"), ops.zeros_like(labels, dtype="int32"))
    hidden = ops.where(ops.reshape(counted, (1, -1, 1)), hidden, ops.zeros_like(hidden))
    # Not `ops.cast`, which on TensorFlow makes float32 of a Python number first.
    task_factor = ops.convert_to_tensor(task_factor, dtype)
    divergence_factor = ops.convert_to_tensor(divergence_factor, dtype)

    # All tensors are arguments, also those without a gradient: where JAX differentiates what is
    # compiled, it calls this function once the tensors around it are gone.
    @ops.custom_gradient
    def sums(
        hidden: Tensor,
        kernel: Tensor,
        labels: Tensor,
        weights: Tensor,
        task_factor: Tensor,
        divergence_factor: Tensor,
        *bias: Tensor,
    ) -> Tensor:
        chunk = _Chunk(projection, passes, task_factor, divergence_factor, label_smoothing, dtype)
        stacks = (
            ops.transpose(_chunks(hidden, size, axis=1), (1, 0, 2, 3)),
            _chunks(labels, size, axis=0),
            _chunks(weights, size, axis=0),
        )
        narrow = ops.cast(kernel, hidden.dtype)
        first = chunk.start(narrow, bias)
        (values, *by_weight), to_hidden = scan(
            lambda carry, x: chunk.add(carry, x, narrow, bias), first, stacks, dtype
        )
        to_hidden = ops.reshape(ops.transpose(to_hidden, (1, 0, 2, 3)), (passes, -1, features))

        def gradient(*args: Tensor, upstream: Tensor | None = None) -> tuple[Tensor | None, ...]:
            scale = ops.cast(last_argument(args, upstream), dtype)[0]
            to_all = (to_hidden[:, :rows], *by_weight)
            given = (hidden, kernel, *bias)
            if not projection.kernel_is_trained:
                to_all = (to_all[0], ops.zeros_like(kernel), *by_weight)
            to_hidden_states, to_kernel, *to_bias = (
                ops.cast(g * ops.cast(scale, g.dtype), x.dtype)
                for g, x in zip(to_all, given, strict=True)
            )
            return to_hidden_states, to_kernel, None, None, None, None, *to_bias

        return values, gradient

    bias = () if projection.bias is None else (projection.bias,)
    values = sums(hidden, projection.kernel, labels, weights, task_factor, divergence_factor, *bias)
    constant = ops.stop_gradient(values)
    return LinearTerms(
        total=values[0],
        task=constant[1 : passes + 1],
        divergence=constant[passes + 1] if passes > 1 else None,
    )


@dataclass(frozen=True)
class _Chunk:
    """What is done with some rows at a time."""

    projection: Projection
    passes: int
    task_factor: Tensor
    divergence_factor: Tensor
    label_smoothing: float
    dtype: str

    def start(self, kernel: Tensor, bias: Tensors) -> Tensors:
        """Returns the sums, and the gradients for kernel and bias, before the first chunk.

        The last of the sums counts the chunks.
        """
        sums = ops.zeros((self.passes + 3,), self.dtype)
        kernels: Tensors = ()
        if self.projection.kernel_is_trained:
            kernels = (
                kernel if self._starts_from(kernel) else ops.zeros(kernel.shape, self.dtype),
            )
        return sums, *kernels, *(ops.zeros(x.shape, self.dtype) for x in bias)

    def _starts_from(self, kernel: Tensor) -> bool:
        """Whether the kernel itself, taken 0 times, stands for the zeros to start from.

        A loop of TensorFlow holds what it starts from to its end: zeros of that size would be a
        third array beside the gradient and what is added to it. It costs a pass over the
        gradient, so only large kernels do.
        """
        large = keras.backend.backend() == "tensorflow" and dtype_of(kernel) == self.dtype
        return large and math.prod(kernel.shape) > _LARGE_KERNEL

    def add(
        self, carry: Tensors, x: Tensors, kernel: Tensor, bias: Tensors
    ) -> tuple[Tensors, Tensor]:
        """Adds a chunk's sums and gradients to those so far; returns its own for the rows."""
        hidden, labels, weights = x
        sums, *gradients = carry
        shape = ops.shape(hidden)
        rows = ops.reshape(hidden, (-1, shape[-1]))
        transposed = self.projection.transposed
        products = ops.cast(project(rows, kernel, transposed), self.dtype)
        products = ops.reshape(products, (*shape[:2], self.projection.classes))
        values, upstream = self._of_products(products, bias, labels, weights)
        upstream = ops.reshape(upstream, (-1, self.projection.classes))
        narrow = ops.cast(upstream, hidden.dtype)
        found = []
        if self.projection.kernel_is_trained:
            found.append(ops.cast(to_kernel(rows, narrow, transposed), self.dtype))
            if self._starts_from(kernel):
                gradients[0] = only_if(sums[-1] > 0, gradients[0])
        if bias:
            found.append(ops.sum(upstream, axis=0))
        gradients = [total + new for total, new in zip(gradients, found, strict=True)]
        to_hidden = ops.reshape(to_rows(narrow, kernel, transposed), shape)
        return (sums + values, *gradients), ops.cast(to_hidden, self.dtype)

    def _of_products(
        self, products: Tensor, bias: Tensors, labels: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns the sums of a chunk, and the gradient of the total for its logits.

        `products` are the logits without their bias, shape (passes, rows, classes).
        """
        logits = products + ops.cast(bias[0], self.dtype) if bias else products
        p = ops.softmax(logits, axis=-1)
        task = self._cross_entropy(logits, p, labels)
        # The label of rows that do not count is class 0, which a bias of -inf may rule out.
        task = ops.where(ops.equal(weights, 0), ops.zeros_like(task), task)
        by_task, by_pair = weights * self.task_factor, weights * self.divergence_factor
        divergence, pull = agreement(products, p, by_task[:, None], by_pair[:, None])
        sums = [
            ops.sum(by_task * ops.sum(task, axis=0)) + ops.sum(by_pair * divergence),
            ops.sum(weights * task, axis=1),
            ops.sum(weights * divergence),
            ops.ones((), self.dtype),
        ]
        upstream = self._minus_targets(pull, labels, by_task)
        return ops.concatenate([ops.reshape(x, (-1,)) for x in sums]), upstream

    def _cross_entropy(self, logits: Tensor, p: Tensor, labels: Tensor) -> Tensor:
        """Computes the cross-entropy of every pass and row."""
        top = ops.max(logits, axis=-1)
        log_sum = top - ops.log(ops.max(p, axis=-1))
        places = ops.broadcast_to(labels[None, :, None], (*ops.shape(top), 1))
        picked = ops.squeeze(ops.take_along_axis(logits, places, axis=-1), axis=-1)
        smooth = self.label_smoothing
        if not smooth:
            return log_sum - picked
        return log_sum - (1 - smooth) * picked - smooth * mean(logits)

    def _minus_targets(self, upstream: Tensor, labels: Tensor, by_task: Tensor) -> Tensor:
        """Subtracts each row's targets, smoothed, times its weight."""
        if self.label_smoothing:
            even = self.label_smoothing / self.projection.classes
            upstream = upstream - ops.expand_dims(by_task * even, -1)
        return subtract_at(upstream, labels, by_task * (1 - self.label_smoothing))


def only_if(condition: Tensor, x: Tensor) -> Tensor:
    """Returns x, or zeros if the condition does not hold, whatever x holds (TensorFlow)."""
    import tensorflow as tf

    return tf.math.multiply_no_nan(x, tf.cast(condition, x.dtype))


def subtract_at(x: Tensor, places: Tensor, amounts: Tensor) -> Tensor:
    """Subtracts amounts (rows,) at one place (rows,) of each row of x (passes, rows, classes)."""
    # Not a scatter, which XLA cannot fuse with its neighbours: see docs/decisions.md.
    here = ops.equal(ops.arange(x.shape[-1], dtype="int32"), ops.expand_dims(places, -1))
    return ops.where(here, x - ops.expand_dims(amounts, -1), x)


def _chunks(x: Tensor, size: int, axis: int) -> Tensor:
    """Cuts an axis into (chunks, size), the last chunk filled up with zeros.

    At least one chunk: where the sums start from the kernel itself (`_starts_from`), a loop over
    none would leave it there, and XLA cannot compile a loop that slices nothing.
    """
    rows = ops.shape(x)[axis]
    at_least_one = max(rows, 1) if isinstance(rows, int) else ops.maximum(rows, 1)
    padding = [[0, 0]] * len(x.shape)
    padding[axis] = [0, at_least_one - rows + -at_least_one % size]
    shape = list(ops.shape(x))
    return ops.reshape(ops.pad(x, padding), (*shape[:axis], -1, size, *shape[axis + 1 :]))
