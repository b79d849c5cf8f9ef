"""Where a recipe's sentences come from."""

import warnings
from collections.abc import Mapping
from typing import Any

from rdrop_tf.text.find_parallel import find_parallel
from rdrop_tf.text.parallel import read_parallel
from rdrop_tf.text.parallel_text import ParallelText
from rdrop_tf.text.tfds_pairs import read_tfds


def read_split(data: Mapping[str, Any], split: str) -> ParallelText:
    """Reads "train", "validation" or "test" from the folder or tensorflow-datasets.

    Pairs that cannot be learned from are left out of the training part; the other parts keep
    every line. A warning counts them in either case.

    Args:
        data: A recipe's settings of the data.
        split: Which part.

    Raises:
        ValueError: If the recipe is of files and got no folder, or the files do not fit.
        OSError: If the data are not there.
    """
    source, target, all_lines = data["source"], data["target"], split != "train"
    if data["folder"] is not None:
        files = find_parallel(data["folder"], data["splits"][split], source, target)
        text = read_parallel(files.source, files.target, every_line=all_lines)
        if files.turned:
            text.source, text.target = text.target, text.source
    elif data["tfds"] is not None:
        text = read_tfds(data["tfds"], split, source, target, every_line=all_lines)
    else:
        raise ValueError(
            f"the texts of {source} and {target} come from files of yours; got none: add --data "
            "with the folder that holds them (`rdrop recipes` says under which names)"
        )
    if text.report.counts:
        warnings.warn(f"{split}: {text.report}", stacklevel=2)
    return text
