"""R-Drop's loss straight from hidden states, for heads over large vocabularies."""

from numbers import Real
from typing import Any

import keras
from keras import ops

from rdrop_tf._keras import value_of
from rdrop_tf._typing import Tensor
from rdrop_tf.losses.arithmetic import divide_or_zero
from rdrop_tf.losses.checks import check_alpha, check_choice, is_whole_number
from rdrop_tf.losses.linear_head import LinearHead, linear_head_terms
from rdrop_tf.losses.normalization import NORMALIZATIONS, factors
from rdrop_tf.losses.projection import Projection


def linear_rdrop(
    hidden: Tensor,
    kernel: Tensor,
    labels: Tensor,
    *,
    alpha: float,
    bias: Tensor | None = None,
    sample_weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    normalize: str = "passes",
    chunk_size: int | None = None,
    return_terms: bool = False,
) -> Any:
    """Computes R-Drop's loss of a softmax head from its hidden states, logits never held.

    Formula, with z_k = hidden_k · kernel + bias the logits of pass k, over the rows n with
    weights w_n, both terms divided by the number of rows N:

        CE_k  = Σ_n w_n ( -Σ_c t_c log softmax(z_k)_c ) / N
        D     = Σ_n w_n ½ (KL + KL) / N, the mean over all pairs of passes
        normalize="passes"   loss = mean_k CE_k + (alpha / 2) D
        normalize="paper"    loss = sum_k  CE_k +  alpha      D

    It is `RDropLoss` with `SparseCategoricalCrossentropy(from_logits=True)` on those logits. But
    projection, loss and gradient are computed together for some rows at a time, so memory grows
    with a chunk of rows and not with all of them, at the three matrix products of plain
    cross-entropy (arXiv 2106.14448 for the loss; arXiv 2411.09009 and Liger-Kernel for computing a
    cross-entropy this way). Computed in float32 (float64 for float64); matrix products take the
    dtype of `hidden`. The gradient is that of the first order only. `sample_weight` gets none.

    Args:
        hidden: Hidden states, shape (passes, N, D).
        kernel: Shape (D, V). For the matrix of an embedding, its transpose.
        labels: Classes, integers of shape (N,).
        alpha: Weight of the divergence in the paper's units, >= 0.
        bias: Shape (V,), or None. A class of bias -inf is ruled out.
        sample_weight: Shape (N,). A row of weight 0 adds nothing, whatever it holds; it still
            counts in N.
        label_smoothing: The share of each label that goes to all classes alike, 0 to 1; in the
            cross-entropy alone.
        normalize: "passes" or "paper".
        chunk_size: Rows of each pass at a time; None chooses by the shapes.
        return_terms: Whether to return (loss, ce, divergence), the latter two without a gradient:
            `ce` is the mean over the passes, `divergence` is not multiplied by alpha.

    Returns:
        The loss, a scalar in nats; or the tuple.

    Raises:
        ValueError: If an argument breaks its rule, shapes do not fit, or a label of a row that
            counts is no class.

    Example:
    >>> import numpy as np
    >>> from rdrop_tf.losses import linear_rdrop
    >>> hidden = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.5], [0.0, 1.0]]], "float32")
    >>> kernel = np.array([[2.0, 0.0], [0.0, 2.0]], "float32")
    >>> print(round(float(linear_rdrop(hidden, kernel, [0, 1], alpha=1.0)), 4))
    0.1922
    """
    hidden, kernel, labels = (value_of(x) for x in (hidden, kernel, labels))
    bias = None if bias is None else value_of(bias)
    _check_shapes(hidden, kernel, labels, bias)
    check_choice("normalize", normalize, NORMALIZATIONS)
    if not isinstance(label_smoothing, Real) or not 0 <= label_smoothing <= 1:
        raise ValueError(
            "`label_smoothing` must be a share from 0 to 1. "
            f"Received: label_smoothing={label_smoothing!r}"
        )
    if chunk_size is not None and not is_whole_number(chunk_size, at_least=1):
        raise ValueError(
            "`chunk_size` must be a whole number of rows >= 1, or None to choose it. "
            f"Received: chunk_size={chunk_size!r}"
        )
    passes = int(hidden.shape[0])
    task_factor, divergence_factor = factors(check_alpha(alpha), normalize, passes)
    size = None if chunk_size is None else int(chunk_size)
    head = LinearHead(Projection(kernel, bias), float(label_smoothing), chunk_size=size)
    terms = linear_head_terms(
        head,
        labels,
        [hidden[i] for i in range(passes)],
        task_factor=task_factor,
        divergence_factor=divergence_factor,
        sample_weight=sample_weight,
    )
    loss = divide_or_zero(terms.sums.total, terms.denominator)
    if not return_terms:
        return loss
    ce = divide_or_zero(ops.sum(terms.sums.task) / passes, terms.denominator)
    divergence = terms.sums.divergence
    if divergence is None:
        return loss, ce, ops.zeros_like(ce)
    return loss, ce, divide_or_zero(divergence, terms.denominator)


def _check_shapes(hidden: Tensor, kernel: Tensor, labels: Tensor, bias: Tensor | None) -> None:
    """Raises unless the arrays have the axes they need and share their sizes."""
    received = (
        f"Received: hidden of shape {tuple(hidden.shape)}, kernel {tuple(kernel.shape)}, labels "
        f"{tuple(labels.shape)}" + ("" if bias is None else f", bias {tuple(bias.shape)}")
    )
    axes = len(hidden.shape), len(kernel.shape), len(labels.shape)
    if axes != (3, 2, 1) or (bias is not None and len(bias.shape) != 1):
        raise ValueError(
            "`linear_rdrop` takes hidden (passes, N, D), kernel (D, V), labels (N,) and bias "
            f"(V,); put the axes of batch and time together first. {received}"
        )
    dtype = keras.backend.standardize_dtype(labels.dtype)
    if "int" not in dtype:
        raise ValueError(f"`labels` must be classes, whole numbers. Received: dtype {dtype}")
    passes, rows, features = hidden.shape
    if not passes:
        raise ValueError(f"`hidden` needs a known number of passes, at least one. {received}")
    if features != kernel.shape[0]:
        raise ValueError(
            "The last axis of `hidden` must be the first of `kernel`; for the matrix of an "
            f"embedding, (V, D), give its transpose. {received}"
        )
    if None not in (rows, labels.shape[0]) and rows != labels.shape[0]:
        raise ValueError(f"Each row of a pass needs one label. {received}")
    if bias is not None and bias.shape[0] != kernel.shape[1]:
        raise ValueError(f"`bias` needs one value for each class of `kernel`. {received}")
