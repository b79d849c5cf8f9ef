"""A user's line for a model of one text or two."""


def texts_from_line(line: str, number_of_texts: int) -> tuple[str, ...]:
    r"""Reads the texts of one example from a line.

    Args:
        line: One text, or two separated by a tab; a line break at its end does not count.
        number_of_texts: How many the model takes.

    Returns:
        The texts, without blanks at their ends.

    Raises:
        ValueError: If the line holds another number of texts, or an empty one.

    Example:
    >>> texts_from_line("Is it raining?\tThe street is wet.\n", 2)
    ('Is it raining?', 'The street is wet.')
    """
    texts = tuple(text.strip() for text in line.rstrip("\r\n").split("\t"))
    if len(texts) != number_of_texts:
        wanted = "one text" if number_of_texts == 1 else f"{number_of_texts} texts"
        raise ValueError(
            f"a line must hold {wanted}, and a tab stands between two; got {len(texts)}: "
            f"{_shortened(line)}"
        )
    if not all(texts):
        raise ValueError(f"a text must not be empty; got the line {_shortened(line)}")
    return texts


def _shortened(line: str, length: int = 60) -> str:
    text = line.rstrip("\r\n")
    return repr(text if len(text) <= length else text[:length] + "…")
