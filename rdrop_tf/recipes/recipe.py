"""What a recipe is: everything that decides a run's result, as plain data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rdrop_tf.recipes.ranges import check_ranges


@dataclass(frozen=True)
class Optimizer:
    """How the weights are moved; see `rdrop_tf.training.make_optimizer`.

    Args:
        name: "adam" or "sgd".
        learning_rate: The peak.
        schedule: How it falls after the peak: "cosine" or "linear" to 0 at the last step, or
            "inverse_square_root".
        warmup: How long it rises, linearly: below 1 a share of all steps, from 1 on a number.
        beta_1: Adam's.
        beta_2: Adam's.
        epsilon: Adam's.
        momentum: SGD's.
        weight_decay: Decoupled from the gradient; biases and normalisation layers have none.
        clip_norm: The largest norm of all gradients together; None does not clip.
        accumulation: Batches whose gradients are averaged for one update.
    """

    learning_rate: float
    name: str = "adam"
    schedule: str = "cosine"
    warmup: float = 0.0
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    accumulation: int = 1


# Of a model's layers: what they compute in, while their weights are float32.
DTYPES = ("float32", "mixed_bfloat16", "mixed_float16")


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
        optimizer: How the weights are moved.
        validate_every: Every how many epochs the validation part is evaluated; after the last
            one it always is.
        probe_every: The same for the divergence of two passes.
        average: Over how many of the last epochs the weights that are kept and tested are means.
        dtype: What the model computes in, a name of Keras' dtype policies: "float32", or
            "mixed_bfloat16" or "mixed_float16", where weights, logits and losses stay float32.
        data: The task's own settings of the data.
        model: The task's own settings of the model.

    Raises:
        ValueError: If there is no such dtype, or a setting is out of its range.

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
    optimizer: Optimizer
    validate_every: int = 1
    probe_every: int = 1
    average: int = 1
    dtype: str = "float32"
    data: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_ranges(self.as_dict())
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {', '.join(DTYPES)}; got {self.dtype!r}")

    def as_dict(self) -> dict[str, Any]:
        """Returns the recipe as a dict that json can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Recipe":
        """Makes a recipe of what `as_dict` returned."""
        return cls(**{**fields, "optimizer": Optimizer(**fields["optimizer"])})
