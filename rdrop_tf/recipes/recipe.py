"""What a recipe is: everything that decides a run's result, as plain data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run's result, apart from the seed.

    A recipe is plain data: `as_dict` goes into a run's `config.json`, and `from_dict` makes
    the same recipe of it again, so an old run is evaluated as it was trained even where the
    recipe has changed since.

    Args:
        name: What the user types.
        task: The name of the task that knows this kind of data, see `rdrop_tf.tasks`.
        summary: What is learned from what, in one line.
        source: Where the data comes from.
        paper: The paper's figures for this data set, or a word that it has none.
        alpha: The weight of the consistency term, in the paper's units.
        forward: How `RDropModel` makes the passes. Fixed here, because it decides which dropout
            masks are drawn and so the figures; "auto" may mean another way in another version.
        seeds: How many seeds a comparison takes unless told otherwise.
        epochs: Passes over the training examples.
        batch_size: Examples a step.
        learning_rate: The peak; it rises linearly and falls to 0 along a cosine.
        warmup: The share of all steps that it rises for.
        validate_every: Every how many epochs the validation part is evaluated; after the last
            one it always is.
        probe_every: The same for the divergence of two passes.
        split: The task's own settings of the data split.
        model: The task's own settings of the model.

    Example:
    >>> from rdrop_tf.recipes import find_recipe
    >>> recipe = find_recipe("digits")
    >>> Recipe.from_dict(recipe.as_dict()) == recipe
    True
    """

    name: str
    task: str
    summary: str
    source: str
    paper: str
    alpha: float
    forward: str
    seeds: int
    epochs: int
    batch_size: int
    learning_rate: float
    warmup: float
    validate_every: int
    probe_every: int
    split: Mapping[str, int]
    model: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Returns the recipe as a dict that json can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Recipe":
        """Makes a recipe of what `as_dict` returned."""
        return cls(**fields)
