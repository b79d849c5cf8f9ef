"""An alpha from another code base in the paper's units."""

from collections.abc import Callable

from rdrop_tf.losses.checks import check_alpha, check_choice

# alpha in the paper's units from the number passed (a), the micro-batch size of one device
# (b) and the number of classes (c).
_RULES: dict[str, Callable[[float, int, int], float]] = {
    "paper": lambda a, b, c: a,
    "official_translation": lambda a, b, c: a,
    "readme_batch_sum": lambda a, b, c: 2 * a * b,
    "readme_batch_mean": lambda a, b, c: 2 * a,
    "official_bert": lambda a, b, c: a * b,
    "official_roberta": lambda a, b, c: 4 * a * b,
    "official_vit": lambda a, b, c: 2 * a * b,
    "bert4keras": lambda a, b, c: a,
    "mean_over_classes": lambda a, b, c: a / c,
}
_NEED_BATCH = ("readme_batch_sum", "official_bert", "official_roberta", "official_vit")
_NEED_CLASSES = ("mean_over_classes",)


def convert_alpha(
    alpha: float,
    source: str,
    batch_size: int | None = None,
    num_classes: int | None = None,
) -> float:
    """Converts the number that another code base calls alpha into the paper's alpha.

    The same training, up to the scale of the whole loss, comes from `RDropLoss` or
    `RDropModel` with the returned alpha. B is the micro-batch of one device, C the number of
    classes, KL+KL the sum of both directions over the classes.

    | source | the loss of that code base | alpha |
    |---|---|---|
    | "paper" | CE1 + CE2 + a·½(KL+KL), mean over examples | a |
    | "official_translation" | the same, mean over tokens | a |
    | "readme_batch_sum" | ½(CE1+CE2) + a·½(KL+KL) summed over the batch | 2·a·B |
    | "readme_batch_mean" | ½(CE1+CE2) + a·½(KL+KL), mean over the batch | 2·a |
    | "official_bert" | CE1 + CE2 + a·½(KL+KL) summed over the batch; fixed a = 0.5 | a·B |
    | "official_roberta" | ½·CE1 + a·½(KL+KL) summed over the batch; fixed a = 0.7 | 4·a·B |
    | "official_vit" | CE1 + CE2 + a·(KL+KL) summed over the batch | 2·a·B |
    | "bert4keras" | mean of the CE over 2B rows + a/4·(KL+KL), mean over the rows | a |
    | "mean_over_classes" | ½(CE1+CE2) + a/4·(KL+KL) averaged over B×C | a/C |

    Args:
        alpha: The number passed to the other code base.
        source: Which one, a name of the table.
        batch_size: Examples of one device's step, for those that sum over the batch.
        num_classes: Number of classes, for those that average over them.

    Returns:
        alpha in the paper's units.

    Raises:
        ValueError: If the source is unknown, alpha is negative or not finite, or a size that
            the conversion needs is missing or not positive.

    Example:
    >>> from rdrop_tf.losses import convert_alpha
    >>> print(round(convert_alpha(0.3, source="official_vit", batch_size=32), 6))
    19.2
    """
    check_choice("source", source, tuple(_RULES))
    value = check_alpha(alpha)
    rows = _size("batch_size", batch_size, source in _NEED_BATCH, source)
    classes = _size("num_classes", num_classes, source in _NEED_CLASSES, source)
    return _RULES[source](value, rows, classes)


def _size(name: str, value: int | None, needed: bool, source: str) -> int:
    if not needed:
        return 1
    if value is None or int(value) != value or value < 1:
        raise ValueError(
            f"source={source!r} scales alpha by `{name}`, which must be a positive whole "
            f"number. Received: {name}={value!r}"
        )
    return int(value)
