"""The sizes of Transformers by name."""

from typing import Any

from rdrop_tf.losses.checks import check_choice

SIZES: dict[str, dict[str, Any]] = {
    # For small data on a processor: about 4 layers of 128.
    "tiny": {"layers": 4, "width": 128, "hidden": 256, "heads": 4, "dropout": 0.1},
    # fairseq's transformer_iwslt_de_en with the dropout that its users give it.
    "iwslt": {"layers": 6, "width": 512, "hidden": 1024, "heads": 4, "dropout": 0.3},
    # Table 3 of arXiv 1706.03762.
    "base": {"layers": 6, "width": 512, "hidden": 2048, "heads": 8, "dropout": 0.1},
    "big": {"layers": 6, "width": 1024, "hidden": 4096, "heads": 16, "dropout": 0.3},
}


def arguments_of(size: str) -> dict[str, Any]:
    """Returns the arguments of `Transformer` that a size stands for.

    Raises:
        ValueError: If there is no such size.

    Example:
    >>> arguments_of("base")["width"]
    512
    """
    check_choice("size", size, tuple(SIZES))
    return dict(SIZES[size])
