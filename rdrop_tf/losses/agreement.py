"""The divergence of a head's passes, and the pull of both terms on the logits.

With products s_i (logits without their bias), p_i the probabilities of pass i of P, bars for means
over the passes, u_i = s_i - s̄, and factors a and c of cross-entropy and divergence, row by row:

    D      = 1/(P-1) Σ_i Σ_v (p_i - p̄) u_i
    pull_i = a p_i + c/(P-1) ( p_i (u_i - Σ_v p_i u_i) + p_i - p̄ )

The pull is the gradient for the logits but for the targets of the cross-entropy.
"""

from keras import ops

from rdrop_tf._typing import Tensor
from rdrop_tf.losses.arithmetic import mean


def agreement(products: Tensor, p: Tensor, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Computes the divergence of each row and the pull.

    Args:
        products: Shape (passes, rows, classes).
        p: Probabilities, of the same shape.
        a: Of each row, shape (rows, 1).
        c: The same.

    Returns:
        The divergence, shape (rows,), and the pull, of the shape of the products.
    """
    passes = products.shape[0]
    if passes == 1:
        return ops.zeros_like(a[:, 0]), a * p
    return (_of_two if passes == 2 else _of_many)(products, p, a, c)


def _of_two(products: Tensor, p: Tensor, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """With u_1 = -u_0 and gaps alike, half of the arithmetic of many passes."""
    first, second = p[0], p[1]
    ratio, gap = products[0] - products[1], first - second
    divergence = 0.5 * ops.sum(gap * ratio, axis=-1, keepdims=True)
    # Σ p_i u_i of both passes, from one sum: their difference is the divergence.
    expected = 0.5 * ops.sum(first * ratio, axis=-1, keepdims=True)
    half = 0.5 * c
    ratio, gap = half * ratio, half * gap
    pull = ops.stack(
        [
            first * (ratio + (a - c * expected)) + gap,
            second * ((a - c * (divergence - expected)) - ratio) - gap,
        ]
    )
    return divergence[:, 0], pull


def _of_many(products: Tensor, p: Tensor, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    c = c / (products.shape[0] - 1)
    u, gap = products - mean(products, axis=0), p - mean(p, axis=0)
    divergence = ops.sum(ops.sum(gap * u, axis=-1), axis=0) / (products.shape[0] - 1)
    expected = ops.sum(p * u, axis=-1, keepdims=True)
    return divergence, p * (c * u + (a - c * expected)) + c * gap
